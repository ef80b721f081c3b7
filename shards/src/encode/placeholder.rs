//! What stands for unchanged TOAST values that are not in the log (ENVELOPE section 4).
//!
//! Enters: `unavailable_value_placeholder`, a column's type and form. Leaves: the text of its value,
//! or none: then Debezium fails to convert it. Keeps: each type's placeholder is what Debezium's own
//! conversion lets through (`UnchangedToasted*`, `PostgresValueConverter.handleUnknownData`).

use md5::{Digest, Md5};
use penstock_protocol::schema::{ArrayPlaceholder, ColumnType};

use super::options::{BinaryHandling, EncodeOptions, HstoreHandling, TimePrecision};
use super::plan::{Format, binary_form};
use super::text::{Binary, Out, escaped, put_binary};

/// The placeholder's bytes: the option's text, or what stands behind `hex:`.
pub(crate) struct Placeholder(Vec<u8>);

impl Placeholder {
    /// Of the option; hexadecimal digits that are none (the configuration refuses them) count as
    /// text.
    pub fn new(option: &str) -> Self {
        let hex = option.strip_prefix("hex:").map(|digits| {
            let pair = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
            (0..digits.len()).step_by(2).map(pair).collect::<Option<Vec<u8>>>()
        });
        Self(hex.flatten().unwrap_or_else(|| option.as_bytes().to_vec()))
    }

    /// As a JSON string.
    fn string(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        let text = String::from_utf8_lossy(&escaped(&text)).into_owned();
        format!("\"{text}\"")
    }

    fn binary(&self, form: Binary) -> String {
        written(|out| put_binary(out, &self.0, 0, form))
    }

    /// `UUID.nameUUIDFromBytes`: version 3, without a name space.
    fn uuid(&self) -> String {
        let mut bytes: [u8; 16] = Md5::digest(&self.0).into();
        bytes[6] = bytes[6] & 0x0F | 0x30;
        bytes[8] = bytes[8] & 0x3F | 0x80;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        format!("\"{}\"", parts.join("-"))
    }

    /// The bytes as Java's signed ones.
    fn numbers(&self) -> String {
        let mut list: Vec<String> = Vec::with_capacity(self.0.len());
        list.extend(self.0.iter().map(|byte| byte.cast_signed().to_string()));
        list.join(",")
    }
}

fn written(put: impl FnOnce(&mut Out)) -> String {
    let mut out = Out::small(256);
    put(&mut out);
    let (buf, end) = out.finish();
    String::from_utf8_lossy(buf.get(..end).unwrap_or_default()).into_owned()
}

/// The text of an unchanged value of a column of this type; none: nothing can stand for it.
pub(crate) fn unchanged_text(
    ty: &ColumnType,
    format: Format,
    options: &EncodeOptions,
    placeholder: &Placeholder,
) -> Option<Vec<u8>> {
    let text = match (ty, format) {
        (ColumnType::Hstore, _) => {
            let text = placeholder.string();
            let object = format!("{{{text}:{text}}}");
            match options.hstore {
                HstoreHandling::Map => object,
                HstoreHandling::Json => {
                    format!("\"{}\"", String::from_utf8_lossy(&escaped(&object)))
                }
            }
        }
        (ColumnType::Array { placeholder: kind, .. }, _) => {
            format!("[{}]", element(*kind, ty, options, placeholder)?)
        }
        (ColumnType::Bytes { .. } | ColumnType::Unknown { .. }, _) => match options.binary {
            BinaryHandling::Bytes => placeholder.binary(Binary::Base64),
            BinaryHandling::Hex => placeholder.string(),
            BinaryHandling::Base64 | BinaryHandling::Base64UrlSafe => return None,
        },
        // Whatever becomes a string lets the placeholder's text through.
        (ColumnType::Uuid, _)
        | (_, Format::Text(_) | Format::Json | Format::DecimalString)
        | (_, Format::Iso | Format::IsoDate | Format::Zoned) => placeholder.string(),
        _ => return None,
    };
    Some(text.into_bytes())
}

/// The elements of an unchanged array.
fn element(
    kind: ArrayPlaceholder,
    ty: &ColumnType,
    options: &EncodeOptions,
    placeholder: &Placeholder,
) -> Option<String> {
    let ColumnType::Array { element, .. } = ty else { return None };
    let plain_dates =
        !matches!(options.time_precision, Some(TimePrecision::Connect | TimePrecision::IsoString));
    match kind {
        ArrayPlaceholder::Text => Some(placeholder.string()),
        ArrayPlaceholder::Uuid => Some(placeholder.uuid()),
        ArrayPlaceholder::Bytes => match options.binary {
            BinaryHandling::Bytes => Some(placeholder.binary(binary_form(options.binary))),
            _ => None,
        },
        ArrayPlaceholder::Numbers if **element == ColumnType::Date && !plain_dates => None,
        ArrayPlaceholder::Numbers => Some(placeholder.numbers()),
        ArrayPlaceholder::None => None,
    }
}
