//! Names of character sets and ids of collations.
//!
//! Ids: MySQL `mysys/charset-def.cc`, MariaDB `mysys/charset-def.c`. MariaDB's "no pad" variants are
//! 1024 higher, its UCA-1400 ones 2048 and up, 256 a set (utf8mb3, utf8mb4, ucs2, utf16, utf32). A
//! live test asks every server for its list.

use crate::schema::Charset;

/// Names as the servers spell them, and older names of some; `None`: binary.
pub(super) const NAMES: &[(&str, Option<Charset>)] = &[
    ("binary", None),
    ("utf8mb4", Some(Charset::Utf8)),
    ("utf8mb3", Some(Charset::Utf8)),
    ("utf8", Some(Charset::Utf8)),
    ("armscii8", Some(Charset::Armscii8)),
    ("ascii", Some(Charset::Ascii)),
    ("big5", Some(Charset::Big5)),
    ("cp1250", Some(Charset::Cp1250)),
    ("cp1251", Some(Charset::Cp1251)),
    ("cp1256", Some(Charset::Cp1256)),
    ("cp1257", Some(Charset::Cp1257)),
    ("cp850", Some(Charset::Cp850)),
    ("cp852", Some(Charset::Cp852)),
    ("cp866", Some(Charset::Cp866)),
    ("cp932", Some(Charset::Cp932)),
    ("dec8", Some(Charset::Dec8)),
    ("eucjpms", Some(Charset::Eucjpms)),
    ("euckr", Some(Charset::Euckr)),
    ("gb18030", Some(Charset::Gb18030)),
    ("gb2312", Some(Charset::Gb2312)),
    ("gbk", Some(Charset::Gbk)),
    ("geostd8", Some(Charset::Geostd8)),
    ("greek", Some(Charset::Greek)),
    ("hebrew", Some(Charset::Hebrew)),
    ("hp8", Some(Charset::Hp8)),
    ("keybcs2", Some(Charset::Keybcs2)),
    ("koi8r", Some(Charset::Koi8r)),
    ("koi8u", Some(Charset::Koi8u)),
    ("latin1", Some(Charset::Latin1)),
    ("latin2", Some(Charset::Latin2)),
    ("latin5", Some(Charset::Latin5)),
    ("latin7", Some(Charset::Latin7)),
    ("macce", Some(Charset::Macce)),
    ("macroman", Some(Charset::Macroman)),
    ("sjis", Some(Charset::Sjis)),
    ("swe7", Some(Charset::Swe7)),
    ("tis620", Some(Charset::Tis620)),
    ("ucs2", Some(Charset::Ucs2)),
    ("ujis", Some(Charset::Ujis)),
    ("utf16", Some(Charset::Utf16)),
    ("utf16le", Some(Charset::Utf16Le)),
    ("utf32", Some(Charset::Utf32)),
];

/// A character set by its name, in any case; `Some(None)`: binary; `None`: no set that is known.
pub fn by_name(name: &str) -> Option<Option<Charset>> {
    let found = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, charset)| *charset)
}

/// The character set of a collation id; `None`: binary (63). An id that neither server gives a
/// collation of its own is [`Charset::Other`]: a row with such text is refused.
pub fn of_collation(id: u16) -> Option<Charset> {
    Some(match id {
        63 => return None,
        1 | 84 | 1025 | 1108 => Charset::Big5,
        2 | 9 | 21 | 27 | 77 | 1033 | 1101 => Charset::Latin2,
        3 | 69 | 1027 | 1093 => Charset::Dec8,
        4 | 80 | 1028 | 1104 => Charset::Cp850,
        5 | 8 | 15 | 31 | 47..=49 | 94 | 1032 | 1071 => Charset::Latin1,
        6 | 72 | 1030 | 1096 => Charset::Hp8,
        7 | 74 | 1031 | 1098 => Charset::Koi8r,
        10 | 82 | 1034 | 1106 => Charset::Swe7,
        11 | 65 | 1035 | 1089 => Charset::Ascii,
        12 | 91 | 1036 | 1115 => Charset::Ujis,
        13 | 88 | 1037 | 1112 => Charset::Sjis,
        14 | 23 | 50..=52 | 1074 | 1075 => Charset::Cp1251,
        16 | 71 | 1040 | 1095 => Charset::Hebrew,
        18 | 89 | 1042 | 1113 => Charset::Tis620,
        19 | 85 | 1043 | 1109 => Charset::Euckr,
        20 | 41 | 42 | 79 | 1065 | 1103 => Charset::Latin7,
        22 | 75 | 1046 | 1099 => Charset::Koi8u,
        24 | 86 | 1048 | 1110 => Charset::Gb2312,
        25 | 70 | 1049 | 1094 => Charset::Greek,
        26 | 34 | 44 | 66 | 99 | 1050 | 1090 => Charset::Cp1250,
        28 | 87 | 1052 | 1111 => Charset::Gbk,
        29 | 58 | 59 | 1082 | 1083 => Charset::Cp1257,
        30 | 78 | 1054 | 1102 => Charset::Latin5,
        32 | 64 | 1056 | 1088 => Charset::Armscii8,
        33
        | 45
        | 46
        | 76
        | 83
        | 192..=215
        | 223..=247
        | 255..=323
        | 576..=639
        | 1057
        | 1069
        | 1070
        | 1107
        | 1216
        | 1238
        | 1248
        | 1270
        | 2048..=2559 => Charset::Utf8,
        35 | 90 | 128..=151 | 159 | 640..=671 | 1059 | 1114 | 1152 | 1174 | 2560..=2815 => {
            Charset::Ucs2
        }
        36 | 68 | 1060 | 1092 => Charset::Cp866,
        37 | 73 | 1061 | 1097 => Charset::Keybcs2,
        38 | 43 | 1062 | 1067 => Charset::Macce,
        39 | 53 | 1063 | 1077 => Charset::Macroman,
        40 | 81 | 1064 | 1105 => Charset::Cp852,
        54 | 55 | 101..=124 | 672..=703 | 1078 | 1079 | 1125 | 1147 | 2816..=3071 => Charset::Utf16,
        56 | 62 | 1080 | 1086 => Charset::Utf16Le,
        57 | 67 | 1081 | 1091 => Charset::Cp1256,
        60 | 61 | 160..=183 | 736..=767 | 1084 | 1085 | 1184 | 1206 | 3072..=3327 => Charset::Utf32,
        92 | 93 | 1116 | 1117 => Charset::Geostd8,
        95 | 96 | 1119 | 1120 => Charset::Cp932,
        97 | 98 | 1121 | 1122 => Charset::Eucjpms,
        248..=250 => Charset::Gb18030,
        _ => Charset::Other(id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_collations_of_both_servers() {
        // Goal: known pairs; what is not known is never guessed. Method: information_schema of both.
        assert_eq!(by_name("UTF8MB4"), Some(Some(Charset::Utf8)));
        assert_eq!(by_name("binary"), Some(None));
        assert_eq!(by_name("filename"), None);
        for (id, charset) in [
            (255, Charset::Utf8),
            (8, Charset::Latin1),
            (1, Charset::Big5),
            (249, Charset::Gb18030),
            (1119, Charset::Cp932),
            (2047, Charset::Other(2047)),
            (2048, Charset::Utf8),
            (2800, Charset::Ucs2),
            (3100, Charset::Utf32),
            (0, Charset::Other(0)),
        ] {
            assert_eq!(of_collation(id), Some(charset));
        }
        assert_eq!(of_collation(63), None);
    }
}
