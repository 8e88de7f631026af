//! The body of a response, or the error in it.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use serde_json::Value;

use super::xml;
use crate::api::{Operation, Protocol};
use crate::error::{Error, is_about_credentials};
use crate::login::Origin;

/// A response whose body is in memory.
#[derive(Debug)]
pub(crate) struct RawResponse {
    status: u16,
    /// `x-amzn-errortype`, in which some APIs send the code of the error.
    error_type: Option<String>,
    body: Vec<u8>,
}

impl RawResponse {
    pub(crate) fn new(response: &HttpResponse) -> Self {
        let error_type = response.headers().get("x-amzn-errortype");
        Self {
            status: response.status().as_u16(),
            error_type: error_type.map(str::to_owned),
            body: response.body().bytes().unwrap_or_default().to_owned(),
        }
    }

    /// Returns the body as JSON.
    pub(crate) fn read(&self, operation: Operation, origin: &Origin) -> Result<Value, Error> {
        if !(200..300).contains(&self.status) {
            return Err(self.error(operation, origin));
        }
        // HTTP 200 in another format, such as HTML of a proxy, is not a response of the API.
        self.parse(operation).ok_or(Error::UnexpectedResponse {
            operation,
            status: self.status,
        })
    }

    fn parse(&self, operation: Operation) -> Option<Value> {
        if let Protocol::Json(_) = operation.service().protocol() {
            // Some operations respond with nothing.
            return match &self.body[..] {
                [] => Some(Value::Object(serde_json::Map::new())),
                body => serde_json::from_slice(body).ok(),
            };
        }

        let (root, mut value) = xml::parse(std::str::from_utf8(&self.body).ok()?)?;
        if root != format!("{operation}Response") {
            return None;
        }
        // EC2 has no element for the result.
        Some(match value.get_mut(format!("{operation}Result")) {
            Some(result) => result.take(),
            None => value,
        })
    }

    fn error(&self, operation: Operation, origin: &Origin) -> Error {
        let Some((code, message)) = self.code_and_message(operation) else {
            // A response without an error code, such as HTML of a proxy; its body would not help the user.
            return Error::UnexpectedResponse {
                operation,
                status: self.status,
            };
        };

        if is_about_credentials(&code) {
            return Error::RejectedCredentials {
                operation,
                message: format!("{message} ({code})"),
                origin: origin.to_string(),
                advice: origin.advice(),
            };
        }
        Error::Refused {
            operation,
            code,
            message,
            status: self.status,
        }
    }

    fn code_and_message(&self, operation: Operation) -> Option<(String, String)> {
        let text = |value: &Value, names: &[&str]| {
            let found = names.iter().find_map(|name| value[*name].as_str());
            found.map(|text| text.trim().to_owned())
        };

        let (code, message) = if let Protocol::Json(_) = operation.service().protocol() {
            let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
            let code = self.error_type.clone();
            let code = code.or_else(|| text(&body, &["__type", "code"]))?;
            (code, text(&body, &["message", "Message"]))
        } else {
            let (_, body) = xml::parse(std::str::from_utf8(&self.body).ok()?)?;
            // Of EC2: Response/Errors/Error; of the others: ErrorResponse/Error.
            let nested = body.pointer("/Errors/Error").unwrap_or(&body["Error"]);
            (text(nested, &["Code"])?, text(nested, &["Message"]))
        };

        let message = message.filter(|text| !text.is_empty());
        Some((
            short_code(&code).to_owned(),
            message.unwrap_or_else(|| "no reason given".to_owned()),
        ))
    }
}

/// Returns the code without the namespace before it and the URL after it.
///
/// Source: "Operation error serialization" of AWS JSON 1.1 in the specification of Smithy.
fn short_code(code: &str) -> &str {
    let code = code.split(':').next().unwrap_or(code);
    code.rsplit('#').next().unwrap_or(code)
}

#[cfg(test)]
mod tests {
    use super::RawResponse;
    use crate::api::Operation;
    use crate::error::Error;
    use crate::login::Origin;

    fn read(operation: Operation, status: u16, body: &str) -> Result<serde_json::Value, Error> {
        let response = RawResponse {
            status,
            error_type: None,
            body: body.as_bytes().to_owned(),
        };
        response.read(operation, &Origin::default())
    }

    fn refusal(operation: Operation, body: &str) -> (String, String) {
        match read(operation, 400, body) {
            Err(Error::Refused { code, message, .. }) => (code, message),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reads_the_errors_of_every_protocol() {
        let found = ("ClientException".to_owned(), "no such service".to_owned());
        let json = r#"{"__type":"com.amazonaws.ecs#ClientException","Message":"no such service"}"#;
        assert_eq!(refusal(Operation::UpdateService, json), found);

        let query = "<ErrorResponse><Error><Type>Sender</Type><Code>ClientException</Code>\
            <Message>no such service</Message></Error></ErrorResponse>";
        assert_eq!(refusal(Operation::DescribeStacks, query), found);

        let ec2 = "<Response><Errors><Error><Code>ClientException</Code>\
            <Message>no such service</Message></Error></Errors></Response>";
        assert_eq!(refusal(Operation::DescribeSubnets, ec2), found);
    }

    #[test]
    fn responses_of_other_programs_are_not_those_of_the_api() {
        for (operation, status) in [
            (Operation::DescribeServices, 200),
            (Operation::DescribeStacks, 200),
            (Operation::DescribeServices, 502),
            (Operation::DescribeStacks, 502),
        ] {
            let error = read(operation, status, "<html>hello</html>").expect_err("HTML");
            assert!(
                matches!(error, Error::UnexpectedResponse { status: found, .. } if found == status),
                "{error}"
            );
        }
    }

    #[test]
    fn returns_the_result_of_a_form() {
        let text = "<GetRoleResponse><GetRoleResult><Role><Arn>a</Arn></Role></GetRoleResult></GetRoleResponse>";
        let value = read(Operation::GetRole, 200, text).expect("a response");
        assert_eq!(value["Role"]["Arn"], "a");
    }
}
