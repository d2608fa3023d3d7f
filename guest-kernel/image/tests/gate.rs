//! The image is for machines that interpret ring 0: integer instructions only, and nothing below the stack pointer.

use iced_x86::{
    Code, CpuidFeature, Decoder, DecoderOptions, Instruction, InstructionInfoFactory, Mnemonic, Register,
};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};

/// Features that the image may use.
const ALLOWED: [CpuidFeature; 13] = [
    CpuidFeature::INTEL8086,
    CpuidFeature::INTEL186,
    CpuidFeature::INTEL286,
    CpuidFeature::INTEL386,
    CpuidFeature::INTEL486,
    CpuidFeature::X64,
    CpuidFeature::CMOV,
    CpuidFeature::CPUID,
    CpuidFeature::CX8,
    CpuidFeature::MSR,
    CpuidFeature::MULTIBYTENOP,
    CpuidFeature::PAUSE,
    CpuidFeature::TSC,
];

/// One function's bytes.
struct Function<'a> {
    name: &'a str,
    address: u64,
    bytes: &'a [u8],
}

/// Functions of 64-bit code. What runs before long mode, `early`, is written by hand and has a section of its own.
fn functions<'a>(file: &object::File<'a>, early: &[&str]) -> Vec<Function<'a>> {
    let text = file.section_by_name(".text").expect("the image has code");
    let (base, bytes) = (text.address(), text.data().expect("readable code"));
    let is_early = |name| early.contains(&name);
    let early_places: Vec<u64> =
        file.symbols().filter(|s| s.name().is_ok_and(is_early)).map(|s| s.address()).collect();
    assert_eq!(early_places.len(), early.len());
    let mut functions = Vec::new();
    for symbol in file.symbols().filter(|s| s.kind() == SymbolKind::Text && s.size() > 0) {
        let at = (symbol.address() - base) as usize;
        let name = symbol.name().expect("a name");
        if !early_places.contains(&symbol.address()) {
            let bytes = &bytes[at..at + symbol.size() as usize];
            functions.push(Function { name, address: symbol.address(), bytes });
        }
    }
    functions
}

/// Why an instruction may not be there.
fn objection(instruction: &Instruction, info: &mut InstructionInfoFactory) -> Option<String> {
    if instruction.code() == Code::INVALID {
        return Some("not an instruction".into());
    }
    if instruction.mnemonic() == Mnemonic::Tzcnt {
        // How the compiler writes BSF where the operand is not zero: the prefix is ignored where BMI1 is absent.
        return None;
    }
    if let Some(feature) = instruction.cpuid_features().iter().find(|f| !ALLOWED.contains(f)) {
        return Some(format!("needs {feature:?}"));
    }
    let used = info.info(instruction);
    let wide = |r: Register| r.is_vector_register() || r.is_mm() || r.is_st();
    if let Some(register) = used.used_registers().iter().map(|r| r.register()).find(|r| wide(*r)) {
        return Some(format!("uses {register:?}"));
    }
    let below =
        instruction.memory_base() == Register::RSP && (instruction.memory_displacement64() as i64) < 0;
    // An address that is only computed is not accessed.
    (below && instruction.mnemonic() != Mnemonic::Lea)
        .then(|| "accesses memory below the stack pointer".into())
}

#[test]
fn the_image_has_integer_instructions_only_and_no_red_zone() {
    check(guest_image::DEBUG_IMAGE, &["pvh_entry", "ap_entry"], 100);
}

/// Vector registers are not saved when user threads take turns.
#[test]
fn user_programs_have_integer_instructions_only_and_no_red_zone() {
    check(guest_image::USER_DEBUG_IMAGE, &[], 10);
}

/// Looks at every function of `image`, of which there are more than `least`.
fn check(image: &[u8], early: &[&str], least: usize) {
    let file = object::File::parse(image).expect("an ELF file");
    let functions = functions(&file, early);
    assert!(functions.len() > least, "only {} functions found", functions.len());
    let mut info = InstructionInfoFactory::new();
    let mut objections = Vec::new();
    for function in &functions {
        for instruction in Decoder::with_ip(64, function.bytes, function.address, DecoderOptions::NONE) {
            if let Some(why) = objection(&instruction, &mut info) {
                let at = instruction.ip() - function.address;
                let name = guest_image::function_at(function.address).map_or(function.name, |(name, _)| name);
                objections.push(format!("{name}+{at:#x}: `{instruction}`: {why}"));
            }
        }
    }
    assert!(objections.is_empty(), "{} instructions:\n{}", objections.len(), objections.join("\n"));
}

#[test]
fn all_code_belongs_to_a_function() {
    let file = object::File::parse(guest_image::DEBUG_IMAGE).expect("an ELF file");
    let text = file.section_by_name(".text").expect("the image has code");
    let mut spans: Vec<(u64, u64)> = file
        .symbols()
        .filter(|s| s.kind() == SymbolKind::Text && s.size() > 0)
        .map(|s| (s.address(), s.address() + s.size()))
        .collect();
    spans.sort_unstable();
    spans.push((text.address() + text.size(), 0));
    let mut end = text.address();
    for (begin, next) in spans {
        if begin > end {
            let gap = &text.data().expect("readable code")[(end - text.address()) as usize..]
                [..(begin - end) as usize];
            for padding in Decoder::with_ip(64, gap, end, DecoderOptions::NONE) {
                let fine = matches!(padding.mnemonic(), Mnemonic::Nop | Mnemonic::Int3);
                assert!(fine, "code outside of functions at {:#x}: {padding}", padding.ip());
            }
        }
        end = end.max(next);
    }
}

#[test]
fn addresses_have_names() {
    let file = object::File::parse(guest_image::IMAGE).expect("an ELF file");
    let (name, offset) = guest_image::function_at(file.entry()).expect("the entry is a function");
    assert_eq!((name, offset), ("pvh_entry", 0));
    assert_eq!(guest_image::function_at(0), None);
}

#[test]
fn the_image_has_a_pvh_note() {
    // Name and descriptor lengths, type 18 (XEN_ELFNOTE_PHYS32_ENTRY), "Xen", the entry.
    let mut note = Vec::new();
    [4u32, 8, 18].iter().for_each(|word| note.extend_from_slice(&word.to_le_bytes()));
    note.extend_from_slice(b"Xen\0");
    let file = object::File::parse(guest_image::IMAGE).expect("an ELF file");
    note.extend_from_slice(&file.entry().to_le_bytes());
    assert!(guest_image::IMAGE.windows(note.len()).any(|w| w == note));
}
