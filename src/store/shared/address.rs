//! Where the database is. Enters: a URL, with or without a password. Leaves: how to connect, and what may be shown of it.
//!
//! The password is in no message: not the URL is shown but its parts, and what others say is looked through for it.

use anyhow::{Result, anyhow, bail};
use percent_encoding::percent_decode_str;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use std::fmt;
use std::str::FromStr;

/// What a URL may say after its question mark. Others would be taken for nothing, and logged with their values.
const PARAMETERS: [&str; 12] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

/// A PostgreSQL database.
#[derive(Clone)]
pub struct Database {
    options: PgConnectOptions,
    shown: String,
    /// What is never shown, as it is written and as it is meant.
    secrets: Vec<String>,
}

impl Database {
    /// The one that a URL says: `postgres://user:password@host:5432/database?sslmode=verify-full`. What it leaves out is taken from libpq's
    /// variables (`PGPASSWORD`, `PGSSLROOTCERT`) and from `~/.pgpass`.
    ///
    /// # Errors
    /// It is no such URL. The message does not have it.
    pub fn parse(url: &str) -> Result<Self> {
        let url = url.trim();
        let rest = ["postgres://", "postgresql://"].iter().find_map(|scheme| url.strip_prefix(scheme));
        let Some(rest) = rest else { bail!("it does not begin with postgres://") };
        let secrets = secrets(rest);
        if let Some((_, query)) = rest.split_once('?') {
            let names = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
            let unknown = |name: &&str| !PARAMETERS.contains(name) && !name.is_empty();
            if names.filter(unknown).count() > 0 {
                // Its name could be part of a password with a question mark in it.
                bail!("it has parameters other than {}", PARAMETERS.join(", "));
            }
        }
        let options = PgConnectOptions::from_str(url).map_err(|error| anyhow!(without(&secrets, &error)))?;
        let options = match options.get_application_name() {
            Some(_) => options,
            None => options.application_name("trueup"),
        };
        let (user, host, port) = (options.get_username(), options.get_host(), options.get_port());
        let place = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{host}:{port}"),
        };
        let shown = format!("postgres://{user}@{place}/{}", options.get_database().unwrap_or(user));
        Ok(Self { options: options.disable_statement_logging(), shown, secrets })
    }

    pub(super) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// What went wrong with it, fit to be shown.
    pub(super) fn said(&self, error: &dyn fmt::Display) -> anyhow::Error {
        anyhow!("{}: {}", self.shown, without(&self.secrets, error))
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.shown).finish()
    }
}

/// The passwords in a URL without its scheme.
fn secrets(rest: &str) -> Vec<String> {
    let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    let password = user.split_once(':').map(|(_, password)| password);
    let others = query.split('&').filter_map(|pair| pair.strip_prefix("password="));
    let written = password.into_iter().chain(others).filter(|text| !text.is_empty());
    written
        .flat_map(|text| [text.to_owned(), percent_decode_str(text).decode_utf8_lossy().into_owned()])
        .collect()
}

fn without(secrets: &[String], error: &dyn fmt::Display) -> String {
    secrets.iter().fold(error.to_string(), |text, secret| text.replace(secret, "***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_database_has_no_password() {
        let check = |url: &str, expected: &str| {
            let database = Database::parse(url).unwrap();
            assert_eq!(database.to_string(), expected);
            assert_eq!(format!("{database:?}"), format!("Database({expected:?})"));
        };
        check("postgres://ada:s3cret@db.example.com/trueup", "postgres://ada@db.example.com:5432/trueup");
        check("postgresql://ada:s%40t@10.0.0.1:6000/t?sslmode=require", "postgres://ada@10.0.0.1:6000/t");
        check("postgres://db/t?user=ada&password=s3cret", "postgres://ada@db:5432/t");
        check("postgres://ada@db/t?host=/run/sockets", "postgres://ada@/run/sockets/t");
    }

    #[test]
    fn a_wrong_url_is_refused_without_its_password() {
        let check = |url: &str, expected: &str| {
            let error = Database::parse(url).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        };
        check("mysql://ada:s3cret@db/t", "does not begin with postgres://");
        check("ada:s3cret@db", "does not begin with postgres://");
        check("postgres://ada:s3cret@db:many/t", "port");
        check("postgres://ada:s3cret@db/t?sslmode=sometimes", "ssl_mode");
        check("postgres://ada@db/t?pasword=s3cret", "parameters other than");
    }

    #[test]
    fn what_a_database_says_is_shown_without_the_password() {
        let database = Database::parse("postgres://ada:s%403cret@db/t").unwrap();
        let said = |text: &str| database.said(&text).to_string();
        assert_eq!(said("no s@3cret here"), "postgres://ada@db:5432/t: no *** here");
        assert_eq!(said("no s%403cret here"), "postgres://ada@db:5432/t: no *** here");
    }
}
