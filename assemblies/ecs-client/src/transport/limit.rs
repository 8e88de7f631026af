//! The limit for the size of a response.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextMut;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use http_body_util::Limited;

/// Ends the transfer of a body that is larger than [`MAX_RESPONSE_BYTES`]; the error has
/// [`LengthLimitError`](http_body_util::LengthLimitError) among its causes.
#[derive(Debug)]
pub(crate) struct LimitedResponse;

impl Intercept for LimitedResponse {
    fn name(&self) -> &'static str {
        "limited response"
    }

    // The SDK reads whole bodies into memory whatever their size.
    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response_mut().body_mut();
        let unlimited = std::mem::replace(body, SdkBody::taken());

        *body = SdkBody::from_body_1_x(Limited::new(unlimited, MAX_RESPONSE_BYTES));
        Ok(())
    }
}

/// The largest responses are those of CloudFormation and EC2; ECS returns a few MiB at most.
pub(crate) const MAX_RESPONSE_BYTES: usize = 16 << 20;
