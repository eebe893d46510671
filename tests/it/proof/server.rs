//! Plain requests, as anybody makes them.

use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;

#[derive(Clone)]
pub(super) struct Server(pub(super) kube::Client);

impl Server {
    /// The status and the body of the answer.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let bytes = body.map(|body| serde_json::to_vec(body).unwrap()).unwrap_or_default();
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type)
            .header("accept", "application/json")
            .header("user-agent", "others")
            .body(Body::from(bytes))
            .unwrap();
        let answer = self.0.send(request).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// The object, or null where there is none.
    pub(super) async fn get(&self, path: &str) -> Value {
        match self.send("GET", path, "application/json", None).await {
            (200, object) => object,
            (404, _) => Value::Null,
            (status, answer) => panic!("GET {path}: {status} {answer}"),
        }
    }
}
