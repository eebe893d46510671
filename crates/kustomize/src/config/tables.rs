//! The default tables, read once from the text beside this file.

use super::{Config, FieldSpec, NameReference};
use crate::id::Gvk;
use std::sync::{Arc, OnceLock};

const FIELD_SPECS: &str = include_str!("fieldspecs.txt");
const REFERENCES: &str = include_str!("../names/references.txt");

/// The configuration that every kustomization starts from.
pub(crate) fn defaults() -> Arc<Config> {
    static DEFAULTS: OnceLock<Arc<Config>> = OnceLock::new();
    Arc::clone(DEFAULTS.get_or_init(|| Arc::new(read())))
}

fn read() -> Config {
    let mut config = Config::default();
    for (section, lines) in sections(FIELD_SPECS) {
        let fields: Vec<FieldSpec> = lines.into_iter().filter_map(field_spec).collect();
        match section {
            "namePrefix" => config.name_prefix = fields,
            "nameSuffix" => config.name_suffix = fields,
            "namespace" => config.namespace = fields,
            "commonLabels" => config.common_labels = fields,
            "templateLabels" => config.template_labels = fields,
            "volumeClaimTemplateLabels" => config.volume_claim_template_labels = fields,
            "commonAnnotations" => config.common_annotations = fields,
            "images" => config.images = fields,
            "replicas" => config.replicas = fields,
            "varReference" => config.variables = fields,
            _ => {}
        }
    }
    for (section, lines) in sections(REFERENCES) {
        let mut parts = section.split(' ').map(any);
        let mut next = || parts.next().unwrap_or_default();
        let target = Gvk { group: next(), version: next(), kind: next() };
        config
            .names
            .push(NameReference { target, fields: lines.into_iter().filter_map(field_spec).collect() });
    }
    config.sort();
    config
}

/// `[section]` and the lines below it, without comments and empty lines.
fn sections(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut sections: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match (line.strip_prefix('[').and_then(|line| line.strip_suffix(']')), sections.last_mut()) {
            (Some(name), _) => sections.push((name, Vec::new())),
            (None, Some((_, lines))) => lines.push(line),
            (None, None) => {}
        }
    }
    sections
}

/// `apps/*/StatefulSet spec/serviceName create`.
fn field_spec(line: &str) -> Option<FieldSpec> {
    let mut words = line.split(' ');
    let (kind, path) = (words.next()?, words.next()?);
    let gvk = match kind {
        "*" => Gvk::default(),
        kind => {
            let mut parts = kind.split('/').map(any);
            Gvk { group: parts.next()?, version: parts.next()?, kind: parts.next()? }
        }
    };
    Some(FieldSpec::new(gvk, path, words.next() == Some("create")))
}

fn any(part: &str) -> String {
    if part == "*" { String::new() } else { part.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_tables_is_read() {
        let lines = |text: &str| {
            text.lines().filter(|l| !l.is_empty() && !l.starts_with('#') && !l.starts_with('[')).count()
        };
        let config = defaults();
        assert_eq!(config.tables().iter().map(|table| table.len()).sum::<usize>(), lines(FIELD_SPECS));
        assert_eq!(config.names.iter().map(|names| names.fields.len()).sum::<usize>(), lines(REFERENCES));
    }

    #[test]
    fn merging_the_defaults_with_themselves_or_with_nothing_changes_nothing() {
        let mut merged = Config::clone(&defaults());
        merged.merge(&defaults()).unwrap();
        assert_eq!(merged, *defaults());
        let mut merged = Config::default();
        merged.merge(&defaults()).unwrap();
        assert_eq!(merged, *defaults());
    }
}
