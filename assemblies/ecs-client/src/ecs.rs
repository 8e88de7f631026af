//! Sends the calls of ECS with its SDK, `aws-sdk-ecs`: the endpoint, the signature and the retries are the SDK's.
//!
//! The types of the SDK have only the fields that existed when it was generated. So the document of the call replaces
//! the body of the request before it is signed, and the body of the response is read as that of any other API: see
//! [`RawResponse`].

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_ecs::config::Builder;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
    InterceptorContext,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use serde_json::Value;

use crate::api::{Call, Operation};
use crate::error::Error;
use crate::login::{Origin, Session};
use crate::transport::{LimitedResponse, RawResponse, failure, json_body};

/// Sends calls to ECS with the credentials of one session.
#[derive(Debug, Clone)]
pub(crate) struct Ecs {
    client: aws_sdk_ecs::Client,
    origin: Origin,
}

impl Ecs {
    /// Creates a client that shares the connections of the other APIs.
    pub(crate) fn new(session: &Session, http: SharedHttpClient) -> Self {
        let config = Builder::from(&session.config).http_client(http).build();

        Self {
            client: aws_sdk_ecs::Client::from_conf(config),
            origin: session.origin.clone(),
        }
    }

    /// Sends a call; returns `None` if the SDK does not have the operation.
    pub(crate) async fn call(&self, call: &Call) -> Option<Result<Value, Error>> {
        let exchange = Exchange {
            call: call.clone(),
            origin: self.origin.clone(),
            response: Arc::default(),
        };

        Some(match self.send(&exchange)?.await {
            Ok(()) => exchange.read(None),
            Err(error) => exchange.read(Some(&*error)),
        })
    }
}

/// The end of a call: the SDK read the response into its types, or failed.
type Sent = Pin<Box<dyn Future<Output = Result<(), Box<dyn StdError + Send + Sync>>> + Send>>;

/// Defines `Ecs::send` for the operations of the SDK.
macro_rules! operations {
    ($($operation:ident => $builder:ident),* $(,)?) => {
        impl Ecs {
            fn send(&self, exchange: &Exchange) -> Option<Sent> {
                let exchange = exchange.clone();

                match exchange.call.operation {
                    $(Operation::$operation => {
                        let operation = self
                            .client
                            .$builder()
                            .customize()
                            .config_override(Builder::new().retry_classifier(exchange.clone()))
                            .mutate_request(exchange.request())
                            .interceptor(LimitedResponse)
                            .interceptor(exchange);

                        Some(Box::pin(async move {
                            operation.send().await.map(drop).map_err(Into::into)
                        }))
                    })*
                    _ => None,
                }
            }
        }
    };
}

operations! {
    ContinueServiceDeployment => continue_service_deployment,
    DescribeClusters => describe_clusters,
    DescribeServiceDeployments => describe_service_deployments,
    DescribeServiceRevisions => describe_service_revisions,
    DescribeServices => describe_services,
    DescribeTaskDefinition => describe_task_definition,
    DescribeTasks => describe_tasks,
    ExecuteCommand => execute_command,
    ListClusters => list_clusters,
    ListServiceDeployments => list_service_deployments,
    ListServices => list_services,
    ListTaskDefinitionFamilies => list_task_definition_families,
    ListTaskDefinitions => list_task_definitions,
    ListTasks => list_tasks,
    RegisterTaskDefinition => register_task_definition,
    RunTask => run_task,
    StopServiceDeployment => stop_service_deployment,
    StopTask => stop_task,
    UpdateService => update_service,
}

/// One call and its response: gives the SDK the document of the request, keeps the document of the response, and
/// decides about retries.
#[derive(Debug, Clone)]
struct Exchange {
    call: Call,
    origin: Origin,
    response: Arc<Mutex<Option<RawResponse>>>,
}

impl Exchange {
    /// Returns what replaces the body of a request.
    fn request(&self) -> impl Fn(&mut HttpRequest) + Send + Sync + 'static {
        let document = json_body(&self.call);
        move |request| {
            let headers = request.headers_mut();
            // The SDK set the length for the body that is replaced.
            headers.insert("content-length", document.len().to_string());
            *request.body_mut() = document.clone().into();
        }
    }

    /// Returns the document of the last response, or the error in it; without a response, the error of the SDK.
    fn read(&self, error: Option<&(dyn StdError + 'static)>) -> Result<Value, Error> {
        let operation = self.call.operation;
        let response = self.response.lock().unwrap_or_else(PoisonError::into_inner);

        match (&*response, error) {
            // Even if the SDK could not read it: the document may be newer than its types.
            (Some(response), _) => response.read(operation, &self.origin),
            (None, Some(error)) => Err(failure(operation, error, &self.origin)),
            (None, None) => Err(Error::UnexpectedResponse {
                operation,
                status: 200,
            }),
        }
    }

    fn keep(&self, response: Option<RawResponse>) {
        *self.response.lock().unwrap_or_else(PoisonError::into_inner) = response;
    }
}

impl Intercept for Exchange {
    fn name(&self) -> &'static str {
        "documents"
    }

    // The response of an earlier attempt says nothing about this one.
    fn read_after_signing(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.keep(None);
        Ok(())
    }

    // Earlier hooks see a stream; after deserialization the whole body is in memory, unless it could not be received.
    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let is_complete = response.body().bytes().is_some();
        self.keep(is_complete.then(|| RawResponse::new(response)));
        Ok(())
    }
}

/// Repeats what the transport of the other APIs repeats. The SDK alone would repeat every request after a fault, also
/// when a second one does harm.
impl ClassifyRetry for Exchange {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = context.output_or_error() else {
            return RetryAction::NoActionIndicated;
        };

        match self.read(Some(error)) {
            Err(error) if error.is_throttling() => RetryAction::throttling_error(),
            Err(error) if error.may_be_repeated(&self.call) => RetryAction::transient_error(),
            _ => RetryAction::RetryForbidden,
        }
    }

    fn name(&self) -> &'static str {
        "requests that may be sent twice"
    }

    // The last one decides.
    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}

#[cfg(test)]
mod tests {
    use super::{Ecs, Exchange};
    use crate::api::{Call, Operation, Service};
    use crate::login::{Login, Origin};
    use crate::transport::Transport;

    #[tokio::test]
    async fn the_sdk_sends_every_operation_of_ecs() {
        let login = Login {
            region: Some("eu-central-1".to_owned()),
            ..Login::default()
        };
        let session = login.load().await.expect("a session");
        let transport = Transport::new(session.clone()).expect("a transport");
        let ecs = Ecs::new(&session, transport.http());

        for operation in Operation::ALL.iter().copied() {
            let exchange = Exchange {
                call: Call::new(operation, serde_json::json!({})),
                origin: Origin::default(),
                response: std::sync::Arc::default(),
            };

            let is_sent = ecs.send(&exchange).is_some();
            assert_eq!(is_sent, operation.service() == Service::Ecs, "{operation}");
        }
    }
}
