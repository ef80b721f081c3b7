//! Kafka Connect's offset file: a serialised `java.util.HashMap<byte[], byte[]>`
//! (`FileOffsetBackingStore.save` writes it with `ObjectOutputStream.writeObject`).
//!
//! Source of the format: Java Object Serialization Specification, version 6, section 6 (stream
//! protocol), and `HashMap.writeObject`.
//!
//! ```text
//!  magic AC ED │ version 00 05 │ 73 object
//!    72 class descriptor │ u16 length, "java.util.HashMap" │ u64 uid │ flags 03
//!       u16 fields: F loadFactor, I threshold │ 78 end of annotations │ 70 no super class
//!    f32 load factor │ i32 threshold
//!    77 block data │ 08 bytes: i32 buckets, i32 entries
//!    entries times: key, value; each 70 null │ 71 reference │ 75 array of bytes
//!    78 end of the object's own data
//! ```
//! Enters: the file's bytes, hostile. Leaves: pairs of byte strings, or the offset at which the
//! bytes are something else. Keeps: nothing but a map of byte arrays is ever read.

use penstock_protocol::cursor::{Cursor, WireError};

/// First number of the wire's handles (`baseWireHandle`).
const HANDLE_BASE: u32 = 0x007E_0000;
/// Entries that an offset file may have; a worker has some thousands at most.
const ENTRIES_MAX: u32 = 1 << 20;

const TC_NULL: u8 = 0x70;
const TC_REFERENCE: u8 = 0x71;
const TC_CLASSDESC: u8 = 0x72;
const TC_OBJECT: u8 = 0x73;
const TC_ARRAY: u8 = 0x75;
const TC_BLOCKDATA: u8 = 0x77;
const TC_ENDBLOCKDATA: u8 = 0x78;
/// `SC_WRITE_METHOD | SC_SERIALIZABLE`.
const FLAGS_MAP: u8 = 0x03;
/// `SC_SERIALIZABLE`.
const FLAGS_ARRAY: u8 = 0x02;

/// A key or a value: a byte array, or null.
pub(super) type Bytes = Option<Vec<u8>>;

/// Whether the bytes begin as a Java object stream does.
pub(super) fn is_stream(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xAC, 0xED, 0x00, 0x05])
}

/// Reads the whole file.
///
/// Errors: where the bytes are not what `FileOffsetBackingStore` writes.
pub(super) fn byte_map(bytes: &[u8]) -> Result<Vec<(Bytes, Bytes)>, WireError> {
    let mut stream = Stream { cursor: Cursor::new(bytes), handles: Vec::new() };
    let entries = stream.map()?;
    if !stream.cursor.is_empty() {
        return stream.cursor.invalid("end of the map: more bytes follow");
    }
    Ok(entries)
}

struct Stream<'b> {
    cursor: Cursor<'b>,
    /// What each handle of the stream names, in the order in which they were given.
    handles: Vec<Handle>,
}

#[derive(Clone)]
enum Handle {
    /// The descriptor of `byte[]`.
    ByteArrayClass,
    /// A byte array.
    Array(Vec<u8>),
    /// The map and its class.
    Other,
}

impl Stream<'_> {
    fn map(&mut self) -> Result<Vec<(Bytes, Bytes)>, WireError> {
        if self.cursor.u16_be()? != 0xACED || self.cursor.u16_be()? != 5 {
            return self.cursor.invalid("Java object stream");
        }
        self.expect(TC_OBJECT, "object")?;
        self.class(b"java.util.HashMap", FLAGS_MAP, "class java.util.HashMap")?;
        self.handles.push(Handle::Other);
        let fields: [&[u8]; 2] = [b"F\x00\x0aloadFactor", b"I\x00\x09threshold"];
        if self.cursor.u16_be()? != 2 {
            return self.cursor.invalid("fields of java.util.HashMap");
        }
        for field in fields {
            if self.cursor.bytes(field.len())? != field {
                return self.cursor.invalid("fields of java.util.HashMap");
            }
        }
        self.end_of_class()?;
        // The map itself gets its handle between its class and its fields.
        self.handles.push(Handle::Other);
        self.cursor.skip(8)?;
        self.expect(TC_BLOCKDATA, "block data")?;
        self.expect(8, "block of eight bytes")?;
        self.cursor.skip(4)?;
        let count = self.cursor.u32_be()?;
        if count > ENTRIES_MAX {
            return self.cursor.invalid("number of entries");
        }
        let mut entries = Vec::new();
        for _ in 0..count {
            entries.push((self.bytes()?, self.bytes()?));
        }
        self.expect(TC_ENDBLOCKDATA, "end of the map")?;
        Ok(entries)
    }

    /// A byte array, null, or an array that was written before.
    fn bytes(&mut self) -> Result<Bytes, WireError> {
        match self.cursor.u8()? {
            TC_NULL => Ok(None),
            TC_REFERENCE => match self.reference()? {
                Handle::Array(bytes) => Ok(Some(bytes)),
                _ => self.cursor.invalid("reference to a byte array"),
            },
            TC_ARRAY => {
                self.array_class()?;
                let length = self.cursor.u32_be()?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let bytes = self.cursor.bytes(length)?.to_vec();
                self.handles.push(Handle::Array(bytes.clone()));
                Ok(Some(bytes))
            }
            _ => self.cursor.invalid("byte array"),
        }
    }

    /// The class of an array: written out the first time, a reference later.
    fn array_class(&mut self) -> Result<(), WireError> {
        let first = self.cursor.rest().first().copied();
        if first == Some(TC_REFERENCE) {
            self.cursor.skip(1)?;
            return match self.reference()? {
                Handle::ByteArrayClass => Ok(()),
                _ => self.cursor.invalid("class byte[]"),
            };
        }
        self.class(b"[B", FLAGS_ARRAY, "class byte[]")?;
        self.handles.push(Handle::ByteArrayClass);
        if self.cursor.u16_be()? != 0 {
            return self.cursor.invalid("class byte[]");
        }
        self.end_of_class()
    }

    /// Tag, name, uid and flags of a class descriptor.
    fn class(&mut self, name: &[u8], flags: u8, what: &'static str) -> Result<(), WireError> {
        self.expect(TC_CLASSDESC, what)?;
        let length = usize::from(self.cursor.u16_be()?);
        if self.cursor.bytes(length)? != name {
            return self.cursor.invalid(what);
        }
        self.cursor.skip(8)?;
        self.expect(flags, what)
    }

    fn end_of_class(&mut self) -> Result<(), WireError> {
        self.expect(TC_ENDBLOCKDATA, "end of class annotations")?;
        self.expect(TC_NULL, "no super class")
    }

    fn reference(&mut self) -> Result<Handle, WireError> {
        let handle = self.cursor.u32_be()?.checked_sub(HANDLE_BASE);
        let named = handle.and_then(|at| self.handles.get(usize::try_from(at).ok()?).cloned());
        match named {
            Some(named) => Ok(named),
            None => self.cursor.invalid("reference"),
        }
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), WireError> {
        match self.cursor.u8()? {
            read if read == byte => Ok(()),
            _ => self.cursor.invalid(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSTGRES: &[u8] = include_bytes!("../../../tests/golden/offsets/postgres.dat");
    const SEVERAL: &[u8] = include_bytes!("../../../tests/golden/offsets/several.dat");
    const EMPTY: &[u8] = include_bytes!("../../../tests/golden/offsets/empty.dat");

    fn text(bytes: &Bytes) -> Option<&str> {
        bytes.as_deref().map(|bytes| std::str::from_utf8(bytes).expect("UTF-8"))
    }

    #[test]
    fn maps_that_java_wrote_are_read() {
        // Goal: pairs come out as they went in. Method: files that OpenJDK 17's ObjectOutputStream
        // wrote, as FileOffsetBackingStore does.
        assert!(is_stream(POSTGRES) && !is_stream(b"{\"lsn\":1}"));
        let one = byte_map(POSTGRES).expect("a map");
        assert_eq!(one.len(), 1);
        assert_eq!(text(&one[0].0), Some(r#"["shop-connector",{"server":"shop"}]"#));
        let value = text(&one[0].1).expect("a value");
        assert!(value.ends_with("\"ts_usec\":1763990000123456}"), "{value}");
        let several = byte_map(SEVERAL).expect("a map");
        let mut keys: Vec<_> = several.iter().map(|(key, _)| text(key).expect("a key")).collect();
        keys.sort_unstable();
        let expected = [
            r#"["a",{"server":"inventory"}]"#,
            r#"["b",{"server":"orders"}]"#,
            r#"["c",{"server":"gone"}]"#,
        ];
        assert_eq!(keys, expected);
        assert_eq!(several.iter().filter(|(_, value)| value.is_none()).count(), 1);
        assert_eq!(byte_map(EMPTY), Ok(Vec::new()));
    }

    #[test]
    fn damage_is_found_with_its_place() {
        // Goal: no truncation and no flipped byte panics, and a foreign class is refused.
        // Method: every prefix, every byte changed.
        for end in 0..SEVERAL.len() {
            assert!(byte_map(&SEVERAL[..end]).is_err(), "{end}");
        }
        for at in 0..SEVERAL.len() {
            let mut bytes = SEVERAL.to_vec();
            bytes[at] ^= 0xFF;
            let _ = byte_map(&bytes);
        }
        let mut foreign = EMPTY.to_vec();
        foreign[8] = b'k';
        assert_eq!(
            byte_map(&foreign),
            Err(WireError::Invalid { offset: 25, what: "class java.util.HashMap" })
        );
        let mut longer = EMPTY.to_vec();
        longer.push(0);
        assert!(byte_map(&longer).is_err());
    }
}
