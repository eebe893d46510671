//! What an agent works by, kept in its own cluster: it goes on while its hub is away, also after a start.
//!
//! Enters: a parcel. Leaves: the same, from a Secret of the cluster that the agent keeps. It holds what Secrets of the hub say, so it is one.

use super::messages::Parcel;
use crate::cluster::{ApiErrorClass, Apply, Cluster, Force, Mode};
use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::json;
use std::io::{Read as _, Write as _};
use trueup_model::ObjectId;

/// The name of the Secret.
const NAME: &str = "trueup-agent";
const KEY: &str = "parcel.json.gz";
/// The largest Secret that an API server takes, with room for the rest of it.
const LARGEST: usize = 1_000_000;
/// The most that is unpacked.
const LARGEST_UNPACKED: u64 = 256 << 20;

/// Where it is kept.
pub(super) struct Store {
    pub(super) cluster: Cluster,
    pub(super) namespace: String,
}

impl Store {
    /// What was kept last; none where nothing was.
    pub(super) async fn read(&self) -> Result<Option<Parcel>> {
        let data = match self.cluster.secret(&self.namespace, NAME).await {
            Ok(data) => data,
            Err(error) if error.class == ApiErrorClass::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let what = || format!("Secret {}/{NAME}, which trueup keeps for itself", self.namespace);
        let packed = data.get(KEY).with_context(|| format!("{} has no key {KEY}", what()))?;
        unpack(packed).with_context(what).map(Some)
    }

    pub(super) async fn write(&self, parcel: &Parcel) -> Result<()> {
        let packed = BASE64_STANDARD.encode(pack(parcel)?);
        ensure!(packed.len() <= LARGEST, "it is too large for a Secret");
        self.cluster.discover().await?;
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {
                "name": NAME, "namespace": self.namespace,
                "labels": {"app.kubernetes.io/name": "trueup"},
            },
            "data": {KEY: packed},
        });
        let id = ObjectId::new("", "Secret", &self.namespace, NAME);
        let body = serde_json::to_vec(&secret)?;
        let apply = Apply { id: &id, api_version: "v1", body: &body, mode: Mode::Write, force: Force::Yes };
        self.cluster.apply(&apply).await?;
        Ok(())
    }
}

fn pack(parcel: &Parcel) -> Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&serde_json::to_vec(parcel)?)?;
    Ok(packed.finish()?)
}

fn unpack(packed: &[u8]) -> Result<Parcel> {
    let mut text = Vec::new();
    GzDecoder::new(packed).take(LARGEST_UNPACKED).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}
