//! O2: driver bundles.

use crate::prelude::*;
use crate::sync::Arc;

use iokit::{
    Class, Driver, IoKit, Options, ServiceRef,
    class::IO_SERVICE,
    matching::Personality,
    registry::bundle::{Bundle, BundleError, Flaw, check_bundle},
};
use mach::{Policy, band};
use trace::Kind;

use crate::{
    mock::{Mock, bus_and_nub},
    world::shared,
};

static BASE: Class = Class::new("ExampleBase", &IO_SERVICE);
static DISK: Class = Class::new("ExampleDisk", &BASE);
static OTHER_DISK: Class = Class::new("ExampleDisk", &IO_SERVICE);

const FAMILY_ID: &str = "org.example.family";
const DISK_ID: &str = "org.example.driver.disk";

fn disk_personality() -> Personality {
    Personality::new(DISK_ID, "ExampleDisk", "MockNub", |_, _| {
        Some(Box::new(Mock::new(&DISK)) as Box<dyn Driver>)
    })
}

fn family() -> Bundle {
    Bundle::new(FAMILY_ID, "1.5").compatible("1.2").needs("org.example.kernel", "1.0").class(&BASE)
}

fn disk() -> Bundle {
    let bundle = Bundle::new(DISK_ID, "2.0").needs(FAMILY_ID, "1.4").class(&DISK);
    bundle.personality("Disk", disk_personality())
}

fn kernel_bundle() -> Bundle {
    Bundle::new("org.example.kernel", "1.0").compatible("1.0")
}

fn with_all(kit: &IoKit) {
    [disk(), family(), kernel_bundle()].into_iter().for_each(|b| kit.bundles().add(kit, b));
}

/// The registered nub of a new bus.
fn published(kit: &IoKit) -> ServiceRef {
    let (_bus, nub) = bus_and_nub(kit);
    nub.register_service(Options::empty());
    nub.wait_quiet(None).unwrap();
    nub
}

fn o2_a_bundle_loads_after_its_libraries_and_its_drivers_match_what_is_there(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        with_all(kit);
        let nub = published(kit);
        assert!(!nub.has_clients());
        kit.bundles().load(kit, DISK_ID).unwrap();
        assert_eq!(kit.bundles().loaded(kit), ["org.example.kernel", FAMILY_ID, DISK_ID]);
        nub.wait_quiet(None).unwrap();
        assert_eq!(nub.clients().iter().map(|c| c.class().name).collect::<Vec<_>>(), ["ExampleDisk"]);
        kit.bundles().load(kit, DISK_ID).unwrap();
        nub.wait_quiet(None).unwrap();
        assert_eq!((kit.bundles().loaded(kit).len(), nub.clients().len()), (3, 1), "loaded once");
        let late = published(kit);
        assert_eq!(late.clients().len(), 1);
    });
}

fn o2_a_bundle_unloads_only_when_no_instance_is_left_and_nobody_needs_it(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        with_all(kit);
        let nub = published(kit);
        kit.bundles().load(kit, DISK_ID).unwrap();
        nub.wait_quiet(None).unwrap();
        let unload = |name| kit.bundles().unload(kit, name);
        assert_eq!(unload(DISK_ID), Err(BundleError::InUse(DISK_ID)));
        assert_eq!(unload(FAMILY_ID), Err(BundleError::NeededBy(DISK_ID)));
        assert_eq!(unload("org.example.none"), Err(BundleError::Unknown("org.example.none")));
        let disk = nub.clients().pop().unwrap();
        disk.terminate(Options::SYNCHRONOUS);
        assert_eq!(unload(DISK_ID), Err(BundleError::InUse(DISK_ID)), "still referenced here");
        drop(disk);
        while unload(DISK_ID) == Err(BundleError::InUse(DISK_ID)) {
            kit.kernel().delay(10_000);
        }
        assert_eq!(kit.bundles().loaded(kit), ["org.example.kernel", FAMILY_ID]);
        nub.register_service(Options::empty());
        nub.wait_quiet(None).unwrap();
        assert!(!nub.has_clients(), "its personality is gone");
        assert_eq!((unload(FAMILY_ID), unload("org.example.kernel")), (Ok(()), Ok(())));
    });
}

fn o2_removing_a_bundle_terminates_its_instances(lab: &Lab<'_>) {
    let runs = lab.everywhere(|kit| {
        with_all(kit);
        let nub = published(kit);
        kit.bundles().load(kit, DISK_ID).unwrap();
        nub.wait_quiet(None).unwrap();
        kit.bundles().remove(kit, DISK_ID).unwrap();
        assert_eq!((kit.instances("ExampleDisk"), nub.has_clients()), (0, false));
        assert!(!nub.is_inactive());
        assert!(kit.bundles().unload_all(kit).is_empty());
        assert!(kit.bundles().loaded(kit).is_empty());
    });
    for run in runs {
        assert_eq!(run.lines(&[Kind::Stop]), ["ExampleDisk.stop(N)"]);
    }
}

fn o2_unloading_while_nubs_are_matched_never_leaves_an_instance_without_its_bundle(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        with_all(kit);
        kit.bundles().load(kit, DISK_ID).unwrap();
        let (_bus, nub) = bus_and_nub(kit);
        let unloaded = shared(kit, None);
        let (place, mine) = (unloaded.clone(), kit.clone());
        let body = move |_: &mach::KernelRef| {
            let result = mine.bundles().unload(&mine, DISK_ID);
            if result.is_ok() {
                assert_eq!(mine.instances("ExampleDisk"), 0);
            }
            *place.lock() = Some(result);
        };
        let thread = kit.kernel().spawn("unloader", band::DEFAULT, Policy::Fixed, body).unwrap();
        nub.register_service(Options::empty());
        nub.wait_quiet(None).unwrap();
        thread.join(kit.kernel());
        let result = unloaded.lock().clone().unwrap();
        assert_eq!(result.is_ok(), kit.instances("ExampleDisk") == 0, "{result:?}");
        assert_eq!(result.is_ok(), !nub.has_clients());
        assert_eq!(result.is_ok(), !kit.bundles().loaded(kit).contains(&DISK_ID));
    });
}

fn o2_what_cannot_be_loaded_is_refused_whole(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let load = |name| kit.bundles().load(kit, name);
        assert_eq!(load(DISK_ID), Err(BundleError::Unknown(DISK_ID)));
        kit.bundles().add(kit, disk());
        assert_eq!(load(DISK_ID), Err(BundleError::Unknown(FAMILY_ID)));
        kit.bundles().add(kit, kernel_bundle());
        for (version, compatible) in [("1.3", "1.0"), ("2.0", "1.5")] {
            let library = Bundle::new(FAMILY_ID, version).compatible(compatible).class(&BASE);
            kit.bundles().add(kit, library);
            assert_eq!(load(DISK_ID), Err(BundleError::Incompatible(DISK_ID, FAMILY_ID)));
        }
        kit.bundles().add(kit, Bundle::new(FAMILY_ID, "1.5"));
        assert_eq!(
            load(DISK_ID),
            Err(BundleError::Incompatible(DISK_ID, FAMILY_ID)),
            "no compatible version"
        );
        kit.bundles().add(kit, family().needs(DISK_ID, "1.0"));
        assert_eq!(load(DISK_ID).err(), Some(BundleError::Incompatible(FAMILY_ID, DISK_ID)));
        kit.bundles().add(kit, disk().compatible("1.0"));
        assert_eq!(load(DISK_ID), Err(BundleError::Circular(DISK_ID)));
        kit.bundles().add(kit, Bundle { version: "x", ..family() });
        assert_eq!(load(FAMILY_ID), Err(BundleError::Flawed(FAMILY_ID)));
        kit.bundles().add(kit, family());
        let twin = Bundle::new("org.example.twin", "1").needs(DISK_ID, "2.0").class(&OTHER_DISK);
        kit.bundles().add(kit, twin);
        assert_eq!(load("org.example.twin"), Err(BundleError::ClassExists("ExampleDisk", DISK_ID)));
        assert!(kit.bundles().loaded(kit).is_empty() && kit.catalogue().bundles(kit).is_empty());
        load(FAMILY_ID).unwrap();
        kit.bundles().add(kit, Bundle { version: "1.6", ..family() });
        assert_eq!(load(FAMILY_ID), Err(BundleError::OtherVersion(FAMILY_ID)));
        assert_eq!(load(DISK_ID), Ok(()), "the loaded one serves");
    });
}

/// What is wrong with `bundle`, as flaws and what they are about.
fn flaws(bundle: &Bundle) -> Vec<(Flaw, &'static str)> {
    let (family, kernel) = (family(), kernel_bundle());
    check_bundle(bundle, &[&family, &kernel]).into_iter().map(|c| (c.flaw, c.about)).collect()
}

fn o2_the_checker_finds_nothing_in_a_good_bundle(_: &Lab<'_>) {
    let (family, kernel, disk) = (family(), kernel_bundle(), disk());
    assert_eq!(check_bundle(&disk, &[&disk, &family, &kernel]), []);
    assert_eq!(check_bundle(&family, &[&disk, &family, &kernel]), []);
}

fn o2_the_checker_reads_names_and_versions(_: &Lab<'_>) {
    for name in ["disk", "", ".a", "a.", "a..b", "a.b c", "org.example.ü"] {
        assert_eq!(
            flaws(&Bundle { identifier: name, personalities: vec![], ..disk() }),
            [(Flaw::Identifier, name)]
        );
    }
    let long: &'static str = String::leak(format!("org.{}", "x".repeat(60)));
    assert_eq!(
        flaws(&Bundle { identifier: long, personalities: vec![], ..disk() }),
        [(Flaw::Identifier, long)]
    );
    assert_eq!(flaws(&Bundle { version: "1.0x", ..disk() }), [(Flaw::Version, "1.0x")]);
    assert_eq!(flaws(&disk().compatible("new")), [(Flaw::CompatibleVersion, "new")]);
    assert_eq!(flaws(&disk().compatible("2.0.1")), [(Flaw::CompatibleIsLater, "2.0.1")]);
}

fn o2_the_checker_follows_dependencies(_: &Lab<'_>) {
    let with = |libraries| flaws(&Bundle { libraries, ..disk() });
    assert_eq!(with(vec![(FAMILY_ID, "1.4"), (FAMILY_ID, "1.4")]), [(Flaw::LibraryTwice, FAMILY_ID)]);
    assert_eq!(with(vec![(FAMILY_ID, "1.4"), (DISK_ID, "2.0")]), [(Flaw::LibraryIsSelf, DISK_ID)]);
    assert_eq!(with(vec![(FAMILY_ID, "later")]), [(Flaw::LibraryVersion, "later")]);
    assert_eq!(with(vec![(FAMILY_ID, "1.6")]), [(Flaw::LibraryIncompatible, FAMILY_ID)]);
    assert_eq!(with(vec![(FAMILY_ID, "1.1")]), [(Flaw::LibraryIncompatible, FAMILY_ID)]);
    assert_eq!(
        with(vec![(FAMILY_ID, "1.4"), ("org.example.none", "1")]),
        [(Flaw::LibraryUnknown, "org.example.none")]
    );
    assert_eq!(with(vec![]), [(Flaw::NoLibraries, DISK_ID), (Flaw::SuperclassUnknown, "ExampleBase")]);
    let (family, disk) = (family().needs(DISK_ID, "2.0"), disk().compatible("2.0"));
    let found = check_bundle(&disk, &[&family, &kernel_bundle()]);
    assert_eq!(
        found.iter().map(|c| (c.flaw, c.about)).collect::<Vec<_>>(),
        [(Flaw::LibraryCircle, FAMILY_ID)]
    );
}

fn o2_the_checker_reads_classes_and_personalities(_: &Lab<'_>) {
    assert_eq!(flaws(&disk().class(&DISK)), [(Flaw::ClassTwice, "ExampleDisk")]);
    let twin = Bundle::new("org.example.twin", "1").class(&OTHER_DISK);
    let found = check_bundle(&disk(), &[&family(), &kernel_bundle(), &twin]);
    assert_eq!(
        found.iter().map(|c| (c.flaw, c.about)).collect::<Vec<_>>(),
        [(Flaw::ClassElsewhere, "ExampleDisk")]
    );
    let with = |change: fn(&mut Personality)| {
        let mut personality = disk_personality();
        change(&mut personality);
        flaws(&Bundle { personalities: vec![("Disk", personality)], ..disk() })
    };
    assert_eq!(with(|p| p.class = "Nothing"), [(Flaw::PersonalityClass, "Nothing")]);
    assert_eq!(with(|p| p.class = "ExampleBase"), [], "a library's class will do");
    assert_eq!(with(|p| p.provider_class = ""), [(Flaw::NoProviderClass, "Disk")]);
    assert_eq!(with(|p| p.category = ""), [(Flaw::NoCategory, "Disk")]);
    assert_eq!(with(|p| p.bundle = "org.example.x"), [(Flaw::PersonalityBundle, "Disk")]);
    assert_eq!(flaws(&disk().personality("Disk", disk_personality())), [(Flaw::PersonalityTwice, "Disk")]);
}

fn o2_the_checker_finds_leftover_debug_properties_which_do_not_keep_it_from_loading(lab: &Lab<'_>) {
    let bundle = disk().property("OSBundleDebugLevel", 1u64).property("OSBundleEnableKextLogging", true);
    let expected = [(Flaw::Debug, "OSBundleDebugLevel"), (Flaw::Debug, "OSBundleEnableKextLogging")];
    assert_eq!(flaws(&bundle), expected);
    let mut personality = disk_personality();
    personality.properties.set("IOKitDebug", 65535u64);
    let debug = Bundle { personalities: vec![("Disk", personality.clone())], ..disk() };
    assert_eq!(flaws(&debug), [(Flaw::Debug, "IOKitDebug")]);
    personality.properties.set("IOKitDebug", 0u64);
    assert_eq!(flaws(&Bundle { personalities: vec![("Disk", personality)], ..disk() }), []);
    let complaints = check_bundle(&debug, &[&family(), &kernel_bundle()]);
    assert_eq!(complaints[0].to_string(), "warning: a debugging property was left in: IOKitDebug");
    let debug = Arc::new(debug);
    lab.everywhere(move |kit| {
        with_all(kit);
        kit.bundles().add(kit, (*debug).clone());
        kit.bundles().load(kit, DISK_ID).unwrap();
    });
}

/// What comes with the kernel is bundles like any other.
fn o2_the_bundles_that_come_with_the_kernel_load_and_unload(lab: &Lab<'_>) {
    lab.everywhere(|kit| {
        let shipped = iokit::driver::bundles::all();
        let identifiers: Vec<_> = shipped.iter().map(|bundle| bundle.identifier).collect();
        shipped.into_iter().for_each(|bundle| kit.bundles().add(kit, bundle));
        // Last ones first: each brings its libraries.
        identifiers.iter().rev().for_each(|identifier| kit.bundles().load(kit, identifier).unwrap());
        let loaded = kit.bundles().loaded(kit);
        assert_eq!(loaded.len(), identifiers.len());
        assert_eq!(loaded[0], iokit::driver::bundles::KERNEL);
        // The kernel's own has an instance: the root.
        assert_eq!(kit.bundles().unload_all(kit), [iokit::driver::bundles::KERNEL]);
    });
}

table! {
    o2_the_bundles_that_come_with_the_kernel_load_and_unload,
    o2_a_bundle_loads_after_its_libraries_and_its_drivers_match_what_is_there,
    o2_a_bundle_unloads_only_when_no_instance_is_left_and_nobody_needs_it,
    o2_removing_a_bundle_terminates_its_instances,
    o2_unloading_while_nubs_are_matched_never_leaves_an_instance_without_its_bundle,
    o2_what_cannot_be_loaded_is_refused_whole,
    o2_the_checker_finds_nothing_in_a_good_bundle,
    o2_the_checker_reads_names_and_versions,
    o2_the_checker_follows_dependencies,
    o2_the_checker_reads_classes_and_personalities,
    o2_the_checker_finds_leftover_debug_properties_which_do_not_keep_it_from_loading,
}
