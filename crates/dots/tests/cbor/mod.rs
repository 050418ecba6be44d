//! Bodies written item by item, so that a test can say what no encoder of ours would.
#![allow(dead_code, clippy::unwrap_used)] // each test file uses a part of this; test helpers may panic

/// A CBOR item, with the forms that matter to a decoder.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    Unsigned(u64),
    /// -1 - n
    Negative(u64),
    Bytes(Vec<u8>),
    Text(String),
    /// Text in chunks of indefinite length.
    Chunks(Vec<String>),
    List(Vec<Item>),
    OpenList(Vec<Item>),
    Map(Vec<(Item, Item)>),
    OpenMap(Vec<(Item, Item)>),
    Tag(u64, Box<Item>),
    Bool(bool),
    Null,
    Float(f64),
}

pub(crate) use Item::*;

fn head(major: u8, value: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    let bytes = value.to_be_bytes();
    match value {
        0..24 => out.push(major | bytes[7]),
        24..0x100 => out.extend([major | 24, bytes[7]]),
        0x100..0x1_0000 => {
            out.push(major | 25);
            out.extend(&bytes[6..]);
        }
        0x1_0000..0x1_0000_0000 => {
            out.push(major | 26);
            out.extend(&bytes[4..]);
        }
        _ => {
            out.push(major | 27);
            out.extend(bytes);
        }
    }
}

impl Item {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Unsigned(value) => head(0, *value, out),
            Negative(value) => head(1, *value, out),
            Bytes(bytes) => {
                head(2, bytes.len() as u64, out);
                out.extend(bytes);
            }
            Text(text) => {
                head(3, text.len() as u64, out);
                out.extend(text.bytes());
            }
            Chunks(chunks) => {
                out.push(0x7f);
                chunks
                    .iter()
                    .for_each(|chunk| Text(chunk.clone()).write(out));
                out.push(0xff);
            }
            List(items) => {
                head(4, items.len() as u64, out);
                items.iter().for_each(|item| item.write(out));
            }
            OpenList(items) => {
                out.push(0x9f);
                items.iter().for_each(|item| item.write(out));
                out.push(0xff);
            }
            Map(entries) => {
                head(5, entries.len() as u64, out);
                write_entries(entries, out);
            }
            OpenMap(entries) => {
                out.push(0xbf);
                write_entries(entries, out);
                out.push(0xff);
            }
            Tag(tag, item) => {
                head(6, *tag, out);
                item.write(out);
            }
            Bool(value) => out.push(if *value { 0xf5 } else { 0xf4 }),
            Null => out.push(0xf6),
            Float(value) => {
                out.push(0xfb);
                out.extend(value.to_be_bytes());
            }
        }
    }
}

fn write_entries(entries: &[(Item, Item)], out: &mut Vec<u8>) {
    for (key, value) in entries {
        key.write(out);
        value.write(out);
    }
}

pub(crate) fn map<const N: usize>(entries: [(u64, Item); N]) -> Item {
    Map(entries.map(|(key, value)| (Unsigned(key), value)).to_vec())
}

pub(crate) fn text(text: &str) -> Item {
    Text(text.to_owned())
}

pub(crate) fn texts<const N: usize>(items: [&str; N]) -> Item {
    List(items.map(text).to_vec())
}

/// `{1: {2: [scopes]}}`
pub(crate) fn scopes(scopes: Vec<Item>) -> Item {
    map([(1, map([(2, List(scopes))]))])
}

/// A message with one scope.
pub(crate) fn scope<const N: usize>(entries: [(u64, Item); N]) -> Vec<u8> {
    scopes(vec![map(entries)]).bytes()
}
