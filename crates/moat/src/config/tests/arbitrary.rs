//! Nothing that somebody types makes the reader panic.

use std::path::Path;

use proptest::prelude::*;

use super::super::reader::Diagnostics;
use super::super::{client, examine, server};
use super::client::CLIENT;

fn read_as_both(text: &str) {
    let file = Path::new("/nonexistent/x.toml");
    let (client, told) = examine(Diagnostics::new(file, text), file, client::read);
    assert!(
        client.is_none() && !told.is_empty(),
        "the files it names do not exist"
    );
    let (server, told) = examine(Diagnostics::new(file, text), file, server::read);
    assert!(server.is_none() && !told.is_empty());
    for problem in told {
        assert!(problem.line >= 1 && problem.column >= 1);
        assert!(problem.to_string().len() < 10_000);
    }
}

/// A key or value as it may stand in such a file, or nearly.
fn token() -> impl Strategy<Value = String> {
    let words = "listen|customer|pvd|dots|name|id|prefixes|addresses|certificate|private_key|limits|mitigator\
                 |nftables|action|heartbeat|interval|state|control";
    prop_oneof![
        words,
        "\"[0-9a-f.:/]{0,20}\"",
        "-?[0-9]{1,25}",
        Just("\n".to_owned()),
        r#"[\[\]{}=.,'" \n]{1,3}"#,
        "\\PC{0,5}",
    ]
}

/// As it would be if nobody was to be proved to anybody.
#[test]
fn what_is_no_list_of_customers_is_refused() {
    read_as_both("customer = \"\"");
}

proptest! {
    #[test]
    fn arbitrary_text_is_refused_without_a_panic(text in any::<String>()) {
        read_as_both(&text);
    }

    #[test]
    fn arbitrary_tokens_are_refused_without_a_panic(tokens in prop::collection::vec(token(), 0..60)) {
        read_as_both(&tokens.concat());
    }

    #[test]
    fn a_damaged_file_is_refused_without_a_panic(at in 0..CLIENT.len(), cut in 0..80_usize, token in token()) {
        let mut text = CLIENT.to_owned();
        let end = at.saturating_add(cut).min(text.len());
        text.replace_range(at..end, &token);
        read_as_both(&text);
    }
}
