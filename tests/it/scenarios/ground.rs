//! Where a scenario takes place: on a real API server, or in the sandbox. What it expects is the same on both.
//!
//! Enters: which of the two, and what a cluster is to be like. Leaves: a [`Cluster`], which says the same of itself wherever it is.
//! A scenario is a function of its [`Ground`]; [`scenarios!`] makes two tests of it. What only a real API server can do stands in
//! the same place with its reason, by [`on_the_api_server_only!`].

use super::in_memory::InMemory;
use anyhow::Result;
use std::path::PathBuf;
use std::sync::Arc;
use trueup_testkit::{Api, ControlPlane, Mark, Namespace, Options, Request};

/// Makes two tests of each scenario, `NAME::on_the_api_server` and `NAME::in_the_sandbox`.
macro_rules! scenarios {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use crate::scenarios::ground::Ground;

            #[test]
            fn on_the_api_server() {
                super::$name(Ground::ApiServer);
            }

            #[test]
            fn in_the_sandbox() {
                super::$name(Ground::Sandbox);
            }
        }
    )+};
}

/// Makes one test of each scenario, with the reason for which the sandbox is no ground for it.
macro_rules! on_the_api_server_only {
    ($($reason:literal: $($name:ident),+);+ $(;)?) => {$($(
        #[doc = $reason]
        mod $name {
            #[test]
            fn on_the_api_server() {
                super::$name(crate::scenarios::ground::Ground::ApiServer);
            }
        }
    )+)+};
}

pub(crate) use {on_the_api_server_only, scenarios};

/// Where a scenario takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    ApiServer,
    Sandbox,
}

impl Ground {
    /// A cluster on which everything runs; which one does not matter.
    pub(crate) fn shared(self) -> Cluster {
        match self {
            Self::ApiServer => Cluster::Shared(trueup_testkit::shared().expect("a control plane")),
            Self::Sandbox => self.start(Options::default()),
        }
    }

    /// A cluster where requests are counted and pods of any image run, whatever cluster the tests are given.
    pub(crate) fn played(self) -> Cluster {
        match self {
            Self::ApiServer => Cluster::Shared(trueup_testkit::played().expect("a control plane")),
            Self::Sandbox => self.start(Options::default()),
        }
    }

    /// A cluster of its own.
    pub(crate) fn start(self, options: Options) -> Cluster {
        match self {
            Self::ApiServer => Cluster::Own(Arc::new(ControlPlane::start(options).expect("a control plane"))),
            Self::Sandbox => Cluster::InMemory(Arc::new(InMemory::start(&options).expect("a sandbox"))),
        }
    }
}

/// A cluster that a scenario works with. Clones are the same one.
#[derive(Clone)]
pub(crate) enum Cluster {
    Shared(&'static ControlPlane),
    Own(Arc<ControlPlane>),
    InMemory(Arc<InMemory>),
}

impl Cluster {
    fn real(&self) -> Result<&ControlPlane, &InMemory> {
        match self {
            Self::Shared(plane) => Ok(plane),
            Self::Own(plane) => Ok(plane),
            Self::InMemory(sandbox) => Err(sandbox),
        }
    }

    /// The cluster, seen as its administrator.
    pub(crate) fn api(&self) -> &Api {
        self.real().map_or_else(InMemory::api, ControlPlane::api)
    }

    /// The administrator's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.real().map_or_else(InMemory::kubeconfig, |plane| plane.kubeconfig().to_owned())
    }

    /// The kubeconfig of one of the users that it was started with.
    pub(crate) fn kubeconfig_for(&self, user: &str) -> PathBuf {
        match self.real() {
            Ok(plane) => plane.kubeconfig_for(user).expect("a kubeconfig"),
            Err(sandbox) => sandbox.kubeconfig_for(user),
        }
    }

    /// Kills the API server. What it keeps stays.
    pub(crate) fn stop_api_server(&self) {
        match self.real() {
            Ok(plane) => plane.stop_api_server().expect("it runs"),
            Err(sandbox) => sandbox.stop(),
        }
    }

    /// Starts the API server again, in the same place and with what it kept.
    pub(crate) fn start_api_server(&self) {
        match self.real() {
            Ok(plane) => plane.start_api_server().expect("it starts"),
            Err(sandbox) => sandbox.go_on(),
        }
    }

    /// A new namespace, which is deleted when dropped.
    pub(crate) fn namespace(&self, hint: &str) -> Namespace {
        Namespace::create(self.api(), hint).expect("a namespace")
    }

    /// A mark between the requests before and after now.
    pub(crate) fn mark(&self) -> Mark {
        self.real().map_or_else(|sandbox| Ok(sandbox.mark()), ControlPlane::mark).expect("a mark")
    }

    /// The requests that were answered since the mark, in the order of their answers, but for the tests' own.
    pub(crate) fn requests_since(&self, mark: Mark) -> Vec<Request> {
        match self.real() {
            Ok(plane) => plane.requests_since(mark).expect("requests are counted"),
            Err(sandbox) => sandbox.requests_since(mark),
        }
    }
}
