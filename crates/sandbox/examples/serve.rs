//! Serves an empty sandbox on an address, for trying it with kubectl: `cargo run -p trueup-sandbox --example serve`, then
//! `kubectl --server http://127.0.0.1:8322 get namespaces`.
#![allow(clippy::print_stdout, reason = "it says where it listens")]

use jiff::Timestamp;
use tokio::net::TcpListener;
use trueup_sandbox::Sandbox;
use trueup_sandbox::serve::Served;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8322".to_owned());
    let listener = TcpListener::bind(&address).await?;
    println!("http://{}", listener.local_addr()?);
    Served::new(Sandbox::new(Timestamp::now())).serve(listener, std::future::pending()).await
}
