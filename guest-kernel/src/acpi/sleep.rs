//! The sleep type of soft-off, without an AML interpreter.
//!
//! `\_S5` is a package of integers (ACPI 6.5, 7.4.2), and every DSDT names it by a literal: NameOp, `_S5_` (or `\_S5_`),
//! PackageOp, length, count, and the type as a byte constant (20.2.3, 20.2.5.4). That is what is looked for.

const NAME_OP: u8 = 0x08;
const ROOT_CHAR: u8 = b'\\';
const PACKAGE_OP: u8 = 0x12;
const ZERO_OP: u8 = 0x00;
const ONE_OP: u8 = 0x01;
const BYTE_PREFIX: u8 = 0x0a;
/// The highest sleep type: the field has three bits (4.8.3.2.1).
const MAX_TYPE: u8 = 7;

/// SLP_TYPa of soft-off, from the DSDT's bytes; `None` if it does not name it.
pub fn soft_off_type(dsdt: &[u8]) -> Option<u8> {
    let names = dsdt.windows(4).enumerate().filter(|(_, w)| *w == b"_S5_");
    names.filter_map(|(at, _)| package_at(dsdt, at)).next()
}

/// The first element of the package whose name is at `at`.
fn package_at(dsdt: &[u8], at: usize) -> Option<u8> {
    let named = match at.checked_sub(1).map(|i| dsdt[i])? {
        NAME_OP => true,
        ROOT_CHAR => at >= 2 && dsdt[at - 2] == NAME_OP,
        _ => false,
    };
    let package = dsdt.get(at + 4..)?;
    if !named || *package.first()? != PACKAGE_OP {
        return None;
    }
    // PkgLength: the two top bits of its first byte count the bytes that follow it (20.2.4).
    let length_bytes = 1 + usize::from(package.get(1)? >> 6);
    let elements = package.get(1 + length_bytes + 1..)?;
    let kind = match *elements.first()? {
        ZERO_OP => 0,
        ONE_OP => 1,
        BYTE_PREFIX => *elements.get(1)?,
        _ => return None,
    };
    (kind <= MAX_TYPE).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_a_byte_or_a_constant_operator() {
        assert_eq!(soft_off_type(b"xx\x08_S5_\x12\x06\x04\x0a\x05\x00"), Some(5));
        assert_eq!(soft_off_type(b"\x08\\_S5_\x12\x06\x04\x00\x00\x00"), Some(0));
        assert_eq!(soft_off_type(b"\x08_S5_\x12\x46\x00\x04\x01\x00"), Some(1));
        assert_eq!(soft_off_type(b"\x08_S4_\x12\x04\x00\x08_S5_\x12\x06\x04\x0a\x07"), Some(7));
    }

    #[test]
    fn what_is_not_a_package_is_not_taken_for_one() {
        assert_eq!(soft_off_type(b"_S5_\x12\x06\x04\x0a\x05"), None, "no NameOp");
        assert_eq!(soft_off_type(b"\x08_S5_\x14\x06\x04\x0a\x05"), None, "a method");
        assert_eq!(soft_off_type(b"\x08_S5_\x12\x06\x04\x0a\x09"), None, "no such type");
        for cut in 0..10 {
            let _ = soft_off_type(&b"\x08_S5_\x12\xc6\x04\x0a\x05"[..cut]);
        }
    }
}
