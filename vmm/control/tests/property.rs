//! Whatever clients send: the session answers in order, neither loses nor makes up a message, and keeps no more than its bounds.

use control::framer::{Frame, Framer};
use control::session::{Session, Step};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut framer = Framer::default();
    bytes.iter().filter_map(|&byte| framer.push(byte)).collect()
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((".{0,6}", inner), 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Bytes that have to do with JSON, and some that have not.
fn near_json() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"{\"execute\":\"".to_vec()),
        Just(b"query-version\"}".to_vec()),
        Just(b"{\"execute\":\"query-version\",\"id\":1}".to_vec()),
        Just(b"\\\"".to_vec()),
        prop::sample::select(b"{}[]\",:\\ \n\r\t0x".to_vec()).prop_map(|byte| vec![byte]),
        vec(any::<u8>(), 0..8),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Everything that a session does, with `null` for each answer of the machine.
fn talk(session: &mut Session, bytes: &[u8]) -> Vec<Value> {
    session.feed(bytes);
    let mut said = Vec::new();
    while let Some(step) = session.step() {
        said.push(match step {
            Step::Say(message) => message,
            Step::Ask(_) => session.answered(Ok(Value::Null)),
        });
    }
    said
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn messages_come_out_as_they_went_in(values in vec(any_json(), 0..6), gaps in vec("[ \t\r\n]{0,3}", 7)) {
        let objects: Vec<String> = values.into_iter().map(|value| json!({"m": value}).to_string()).collect();
        let mut text = gaps[6].clone();
        objects.iter().zip(&gaps).for_each(|(object, gap)| text.extend([object.as_str(), gap]));
        let expected: Vec<Frame> = objects.into_iter().map(|object| Frame::Text(object.into_bytes())).collect();
        prop_assert_eq!(frames(text.as_bytes()), expected);
    }

    #[test]
    fn every_answer_has_its_id_and_its_place(ids in vec(any_json(), 0..8)) {
        let mut session = Session::default();
        talk(&mut session, br#"{"execute":"qmp_capabilities"}"#);
        let requests = ids.iter().enumerate().map(|(n, id)| {
            let command = ["query-status", "query-version", "no-such-command", "device_del"][n % 4];
            json!({"execute": command, "id": id}).to_string()
        });
        let text: String = requests.collect();
        let said = talk(&mut session, text.as_bytes());
        let marks: Vec<Value> = said.iter().map(|message| message["id"].clone()).collect();
        prop_assert_eq!(marks, ids);
    }

    #[test]
    fn bytes_mean_the_same_in_whatever_pieces_they_come(bytes in near_json(), cut in any::<prop::sample::Index>()) {
        let mut whole = Session::default();
        let mut parts = Session::default();
        let at = cut.index(bytes.len() + 1);
        let said = talk(&mut whole, &bytes);
        let mut pieces = talk(&mut parts, &bytes[..at]);
        pieces.extend(talk(&mut parts, &bytes[at..]));
        prop_assert_eq!(pieces, said);
    }

    #[test]
    fn whatever_comes_each_message_is_an_answer(bytes in near_json()) {
        let mut session = Session::default();
        for message in talk(&mut session, &bytes) {
            let object = message.as_object().expect("an object");
            prop_assert!(object.contains_key("return") != object.contains_key("error"), "{message}");
            if let Some(error) = object.get("error") {
                prop_assert!(error["class"].is_string() && error["desc"].is_string());
            }
        }
        prop_assert!(session.wants_input());
    }
}
