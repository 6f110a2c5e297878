//! Keys, made and revoked beside a running Plimsoll and without one.

use crate::program::Place;

#[test]
fn a_key_is_printed_once_and_listed_without_its_secret() {
    for up in [false, true] {
        let place = Place::new();
        let _running = up.then(|| place.up(&[]));
        let key = place.out(&["keys", "add", "notebook", "--max-in-flight", "2"]);
        let key = key.trim();
        assert!(key.starts_with("plm-") && key.len() == 28, "{key}");
        let listed = place.out(&["keys"]);
        assert!(listed.contains("notebook") && listed.contains(&key[..8]), "{listed}");
        assert!(!listed.contains(key), "{listed}");
        let json = place.json(&["keys", "--json"]);
        assert_eq!(
            (&json[0]["spec"]["max_in_flight"], &json[1]),
            (&2.into(), &serde_json::Value::Null)
        );
        let (code, words) = place.fails(&["keys", "add", "notebook"]);
        assert!(code == 1 && words.contains("has a key already"), "{words}");
        place.out(&["keys", "revoke", "notebook"]);
        assert_eq!(place.json(&["keys", "--json"]).as_array().map(Vec::len), Some(0));
        let (code, words) = place.fails(&["keys", "revoke", "notebook"]);
        assert!(code == 1 && words.contains("There is no key"), "{words}");
    }
}
