//! The flags of `helm template` that `trueup render CHART` takes without a word of help: a script that calls Helm goes on when it
//! calls trueup.
//!
//! Most change nothing of what is printed where no cluster is asked. The others ask for what is not done here; these are refused
//! with what to do instead.
//!
//! Source: `helm template --help` of Helm v4.3.1.

use anyhow::{Result, bail};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// What a flag takes.
#[derive(Clone, Copy)]
enum Takes {
    Nothing,
    Value,
    /// Behind a `=`, or nothing.
    PerhapsOneOf(&'static [&'static str]),
}

/// What becomes of a flag.
#[derive(Clone, Copy)]
enum Meaning {
    None,
    /// It is for something that is not done here, for this reason or with this instead.
    Refused(&'static str),
    /// Only these values of it are.
    RefusedAs(&'static [&'static str], &'static str),
}

struct Flag(&'static str, Option<char>, Takes, Meaning);

const CLUSTER: &str = "a chart is rendered without a cluster; `trueup diff` of an App with this chart shows what its cluster says of it";

const FLAGS: [Flag; 45] = {
    use Meaning::{None as Idle, Refused, RefusedAs};
    use Takes::{Nothing, PerhapsOneOf, Value};
    [
        Flag("atomic", None, Nothing, Idle),
        Flag("burst-limit", None, Value, Idle),
        Flag(
            "cert-file",
            None,
            Value,
            Refused("certificates of clients are not offered to servers of charts"),
        ),
        Flag("colour", None, Value, Idle),
        Flag("content-cache", None, Value, Idle),
        Flag("create-namespace", None, Nothing, Idle),
        // Charts that are missing are always fetched.
        Flag("dependency-update", None, Nothing, Idle),
        Flag("description", None, Value, Idle),
        Flag("disable-openapi-validation", None, Nothing, Idle),
        Flag(
            "dry-run",
            None,
            PerhapsOneOf(&["client", "server", "none", "unset", "true", "false"]),
            RefusedAs(&["server", "none", "false"], CLUSTER),
        ),
        Flag("force", None, Nothing, Idle),
        Flag("force-conflicts", None, Nothing, Idle),
        Flag("force-replace", None, Nothing, Idle),
        // Helm takes the name `release-name` all the same.
        Flag("generate-name", Some('g'), Nothing, Idle),
        Flag("hide-notes", None, Nothing, Idle),
        Flag(
            "insecure-skip-tls-verify",
            None,
            Nothing,
            Refused("name the server's authority with --ca-file"),
        ),
        Flag(
            "key-file",
            None,
            Value,
            Refused("certificates of clients are not offered to servers of charts"),
        ),
        Flag("keyring", None, Value, Idle),
        Flag("kube-apiserver", None, Value, Idle),
        Flag("kube-as-group", None, Value, Idle),
        Flag("kube-as-user", None, Value, Idle),
        Flag("kube-ca-file", None, Value, Idle),
        Flag("kube-context", None, Value, Idle),
        Flag("kube-insecure-skip-tls-verify", None, Nothing, Idle),
        Flag("kube-tls-server-name", None, Value, Idle),
        Flag("kube-token", None, Value, Idle),
        Flag("kubeconfig", None, Value, Idle),
        Flag("labels", Some('l'), Value, Idle),
        Flag("pass-credentials", None, Nothing, Refused("credentials go to the server that they are for")),
        Flag(
            "post-renderer",
            None,
            Value,
            Refused("lay a kustomization over the chart: `path` besides `helm` of an App, or `helmCharts`"),
        ),
        Flag("post-renderer-args", None, Value, Idle),
        Flag("qps", None, Value, Idle),
        Flag("registry-config", None, Value, Idle),
        Flag("render-subchart-notes", None, Nothing, Idle),
        Flag("replace", None, Nothing, Idle),
        Flag("repository-cache", None, Value, Idle),
        Flag("repository-config", None, Value, Idle),
        Flag("rollback-on-failure", None, Nothing, Idle),
        Flag("server-side", None, PerhapsOneOf(&["true", "false"]), Idle),
        Flag("take-ownership", None, Nothing, Idle),
        Flag("timeout", None, Value, Idle),
        Flag("validate", None, Nothing, Refused(CLUSTER)),
        Flag("verify", None, Nothing, Refused("signatures of charts are not read; `helm verify` does")),
        Flag("wait", None, PerhapsOneOf(&["true", "false", "watcher", "hookOnly", "legacy"]), Idle),
        Flag("wait-for-jobs", None, Nothing, Idle),
    ]
};

/// Which of them are given.
#[derive(Debug, Default)]
pub(super) struct HelmFlags {
    given: Vec<&'static str>,
    refused: Option<String>,
}

impl HelmFlags {
    /// Whether `--generate-name` is given.
    pub(super) fn wants_a_name(&self) -> bool {
        self.given.contains(&"generate-name")
    }

    /// Whether there are any.
    pub(super) fn are_given(&self) -> bool {
        !self.given.is_empty()
    }

    /// Refuses what is not done.
    pub(super) fn check(&self) -> Result<()> {
        match &self.refused {
            Some(why) => bail!("{why}"),
            None => Ok(()),
        }
    }
}

impl Flag {
    fn argument(&self) -> Arg {
        let Self(name, short, takes, _) = *self;
        let argument = Arg::new(name).long(name).hide(true);
        let argument = if let Some(short) = short { argument.short(short) } else { argument };
        match takes {
            Takes::Nothing => argument.action(ArgAction::SetTrue),
            Takes::Value => argument.action(ArgAction::Append),
            Takes::PerhapsOneOf(values) => argument
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .value_parser(clap::builder::PossibleValuesParser::new(values)),
        }
    }

    fn is_given(&self, matches: &ArgMatches) -> bool {
        let Self(name, _, takes, _) = *self;
        match takes {
            Takes::Nothing => matches.get_flag(name),
            Takes::Value | Takes::PerhapsOneOf(_) => matches.contains_id(name),
        }
    }

    /// Why it is refused as it is given.
    fn refusal(&self, matches: &ArgMatches) -> Option<String> {
        let Self(name, _, _, meaning) = *self;
        match meaning {
            Meaning::None => None,
            Meaning::Refused(why) => Some(format!("--{name}: {why}")),
            Meaning::RefusedAs(values, why) => {
                let value = matches.get_one::<String>(name)?;
                values.contains(&value.as_str()).then(|| format!("--{name}={value}: {why}"))
            }
        }
    }
}

impl FromArgMatches for HelmFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for flag in FLAGS.iter().filter(|flag| flag.is_given(matches)) {
            self.given.push(flag.0);
            self.refused = self.refused.take().or_else(|| flag.refusal(matches));
        }
        Ok(())
    }
}

impl Args for HelmFlags {
    fn augment_args(command: Command) -> Command {
        command.args(FLAGS.iter().map(Flag::argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
