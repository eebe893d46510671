//! Placeholders in fields of an App: `apps/{app}/overlays/{environment}`, `{values.domain}`, `{{` for `{`.

/// Why a text with placeholders cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TemplateError {
    /// A placeholder that nothing is known for.
    Unknown(String),
    /// A `{` without its `}`.
    Open,
    /// A `}` without its `{`.
    Close,
}

/// Fills in the placeholders with what `value` knows of them.
pub(super) fn expand(text: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, TemplateError> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        filled.push_str(&rest[..at]);
        let from = &rest[at..];
        if let Some(behind) = from.strip_prefix("{{") {
            filled.push('{');
            rest = behind;
        } else if let Some(behind) = from.strip_prefix("}}") {
            filled.push('}');
            rest = behind;
        } else if let Some(behind) = from.strip_prefix('{') {
            let (name, behind) = behind.split_once('}').ok_or(TemplateError::Open)?;
            let name = name.trim();
            let known = value(name).ok_or_else(|| TemplateError::Unknown(name.to_owned()))?;
            filled.push_str(&known);
            rest = behind;
        } else {
            return Err(TemplateError::Close);
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_and_doubled_braces_are_braces() {
        let value = |name: &str| (name == "app").then(|| "web".to_owned());
        assert_eq!(expand("apps/{app}/{{x}}", value), Ok("apps/web/{x}".to_owned()));
        assert_eq!(expand("{ap}", value), Err(TemplateError::Unknown("ap".to_owned())));
        assert_eq!(expand("{app", value), Err(TemplateError::Open));
        assert_eq!(expand("app}", value), Err(TemplateError::Close));
    }
}
