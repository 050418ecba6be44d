//! Which form of an object a client gets: what its `Accept` likes best (RFC 9110 §12.5.1).

use hyper::HeaderMap;
use hyper::header::ACCEPT;

/// A form in which an object is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The JSON object (RFC 8801 §4.3).
    Plain,
    /// The same, signed (RFC 7515 §3.1).
    Signed,
}

impl Form {
    /// Its media type (RFC 8801 §8.5, RFC 7515 §9.2.1).
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Plain => "application/pvd+json",
            Self::Signed => "application/jose",
        }
    }
}

/// How much something is liked, in thousandths; 0 is not at all (RFC 9110 §12.4.2).
type Weight = u16;

const FULL: Weight = 1000;

/// The form that is liked better, among those that there are; the plain one where it is all the same. `None` if none is taken.
/// Without `Accept`, or with one that says nothing, all are taken.
pub(super) fn choose(headers: &HeaderMap, has_signed: bool) -> Option<Form> {
    let values = headers.get_all(ACCEPT).into_iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let ranges: Vec<Range<'_>> = texts.flat_map(elements).filter_map(Range::read).collect();
    if ranges.is_empty() {
        return Some(Form::Plain);
    }
    let plain = weight_of(&ranges, Form::Plain);
    let signed = match has_signed {
        true => weight_of(&ranges, Form::Signed),
        false => 0,
    };
    match (plain, signed) {
        (0, 0) => None,
        _ if signed > plain => Some(Form::Signed),
        _ => Some(Form::Plain),
    }
}

/// A range of media types, and how much it is liked. Parameters say nothing of forms that have none.
#[derive(Debug, PartialEq, Eq)]
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    weight: Weight,
}

impl<'a> Range<'a> {
    /// `None` for what is no range, which says nothing.
    fn read(element: &'a str) -> Option<Self> {
        let mut parts = pieces(element, ';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        if kind.is_empty() || subtype.is_empty() || (kind == "*" && subtype != "*") {
            return None;
        }
        let mut parameters = parts.filter_map(|part| part.split_once('='));
        let weight = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
        let weight = match weight {
            Some((_, text)) => read_weight(text.trim())?,
            None => FULL,
        };
        Some(Self {
            kind,
            subtype,
            weight,
        })
    }

    /// How closely it describes a media type; `None` if not at all.
    fn closeness(&self, kind: &str, subtype: &str) -> Option<u8> {
        match (self.kind, self.subtype) {
            ("*", _) => Some(0),
            (own, "*") if own.eq_ignore_ascii_case(kind) => Some(1),
            (own, own_subtype)
                if own.eq_ignore_ascii_case(kind) && own_subtype.eq_ignore_ascii_case(subtype) =>
            {
                Some(2)
            }
            _ => None,
        }
    }
}

/// The weight that the closest range gives.
fn weight_of(ranges: &[Range<'_>], form: Form) -> Weight {
    let (kind, subtype) = form.media_type().split_once('/').unwrap_or_default();
    let describing = ranges.iter().filter_map(|range| {
        let closeness = range.closeness(kind, subtype)?;
        Some((closeness, range.weight))
    });
    describing.max().map_or(0, |(_, weight)| weight)
}

/// `0`, `0.5`, `1.000`: at most three digits behind the point.
fn read_weight(text: &str) -> Option<Weight> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_short = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let fraction: Weight = format!("{fraction:0<3}").parse().ok()?;
    match (whole, is_short) {
        ("0", true) => Some(fraction),
        ("1", true) if fraction == 0 => Some(FULL),
        _ => None,
    }
}

/// The elements of a list (RFC 9110 §5.6.1).
fn elements(text: &str) -> impl Iterator<Item = &str> {
    pieces(text, ',').map(str::trim)
}

/// What lies between separators that are not in a quoted string (RFC 9110 §5.6.4).
fn pieces(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |character| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match character {
            '\\' if is_quoted && !was_escaped => is_escaped = true,
            '"' if !was_escaped => is_quoted = !is_quoted,
            _ => {}
        }
        character == separator && !is_quoted
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn accepting(values: &[&str]) -> HeaderMap {
        let values = values.iter().map(|value| {
            let value = HeaderValue::from_str(value).unwrap();
            (ACCEPT, value)
        });
        values.collect()
    }

    /// Covers: P-018, P-036
    #[test]
    fn the_form_that_is_liked_best_is_served_and_the_plain_one_when_in_doubt() {
        use Form::{Plain, Signed};
        let cases = [
            ("application/pvd+json", Some(Plain), Some(Plain)),
            ("application/jose", Some(Signed), None),
            ("Application/JOSE", Some(Signed), None),
            ("*/*", Some(Plain), Some(Plain)),
            ("application/*;q=0.1", Some(Plain), Some(Plain)),
            ("text/html", None, None),
            ("application/json", None, None),
            ("text/html, */*;q=0.8", Some(Plain), Some(Plain)),
            (
                "application/jose, application/pvd+json;q=0.5",
                Some(Signed),
                Some(Plain),
            ),
            (
                "application/jose;q=0.5, application/pvd+json;q=0.500",
                Some(Plain),
                Some(Plain),
            ),
            // The closest range decides, and not the one that comes first or is liked best.
            ("*/*, application/pvd+json;q=0", Some(Signed), None),
            (
                "application/*;q=0.3, application/jose;q=0.2, */*",
                Some(Plain),
                Some(Plain),
            ),
            ("application/jose;q=0, */*;q=0.1", Some(Plain), Some(Plain)),
            ("application/jose;q=0", None, None),
            ("application/jose ; Q=1.000", Some(Signed), None),
            (
                "application/jose;a=\",;q=0\";q=0.9, */*;q=0.1",
                Some(Signed),
                Some(Plain),
            ),
            // What is no range says nothing.
            ("", Some(Plain), Some(Plain)),
            (
                "nonsense, application/jose;q=2, */json",
                Some(Plain),
                Some(Plain),
            ),
            ("nonsense, application/jose", Some(Signed), None),
        ];
        for (value, with_signed, without) in cases {
            let headers = accepting(&[value]);
            assert_eq!(choose(&headers, true), with_signed, "{value}");
            assert_eq!(choose(&headers, false), without, "{value}, not signed");
        }
        assert_eq!(choose(&HeaderMap::new(), true), Some(Plain));
    }

    #[test]
    fn several_fields_are_one_list() {
        let headers = accepting(&["application/pvd+json;q=0.5", "application/jose"]);
        assert_eq!(choose(&headers, true), Some(Form::Signed));
    }

    proptest! {
        #[test]
        fn any_field_is_understood_somehow(value in "[ -~]{0,60}") {
            let headers = accepting(&[&value]);
            let _chosen = choose(&headers, true);
            if let Some(form) = choose(&headers, false) {
                prop_assert_eq!(form, Form::Plain);
            }
        }
    }
}
