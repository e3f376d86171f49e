//! Both sides of SCRAM against the published vector, against each other and against tampering.

use proptest::prelude::*;

use super::verifier::SaltedPassword;
use super::*;
use crate::{Password, UserName};

const SECRET: [u8; 32] = [7; 32];

/// A small count keeps the tests quick; the bounds have tests of their own.
fn verifier_of(password: &str) -> Verifier {
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    Verifier::of(&SaltedPassword::derive(&self::password(password), &salt, 4096), &salt, 4096)
}

fn password(text: &str) -> Password {
    Password::parse(text).unwrap()
}

fn juliet() -> UserName {
    UserName::parse("juliet").unwrap()
}

fn nonce(text: &str) -> Nonce {
    Nonce(text.to_owned())
}

/// What a play changes on its way between the two sides.
#[derive(Default)]
struct Tampering {
    client_first: Option<fn(String) -> String>,
    server_first: Option<fn(String) -> String>,
    client_final: Option<fn(String) -> String>,
    server_final: Option<fn(String) -> String>,
}

fn pass(message: Vec<u8>, change: Option<fn(String) -> String>) -> Vec<u8> {
    match change {
        Some(change) => change(String::from_utf8(message).unwrap()).into_bytes(),
        None => message,
    }
}

/// Plays a whole sign-in of Juliet, whose password is `pencil`.
fn play(
    typed: &str,
    client: ClientBinding,
    server: Option<TlsExporter>,
    tampering: &Tampering,
) -> Result<(), ScramError> {
    let (first, exchange) =
        ClientExchange::start(&juliet(), password(typed), &client, nonce("rOprNGfwEbeRWgbNEkqO"));
    let first = pass(first, tampering.client_first);
    let first = ClientFirst::parse(&first, exchange.mechanism(), server.as_ref())?;
    assert_eq!(first.user_name(), "juliet");
    let (challenge, waiting) =
        first.challenge(verifier_of("pencil"), &nonce("hvYDpWUa2RaTCAfuxFI"));
    let challenge = pass(challenge, tampering.server_first);
    let (last, exchange) = exchange.handle_server_first(&challenge)?;
    let answer = waiting.handle_client_final(&pass(last, tampering.client_final))?;
    exchange.handle_server_final(&pass(answer, tampering.server_final))
}

fn check(typed: &str, tampering: Tampering, expected: Result<(), ScramError>) {
    assert_eq!(play(typed, ClientBinding::Unsupported, None, &tampering), expected);
}

#[test]
fn vector_of_rfc_7677_section_3_comes_out() {
    let (first, exchange) = ClientExchange::start(
        &UserName::parse("user").unwrap(),
        password("pencil"),
        &ClientBinding::Unsupported,
        nonce("rOprNGfwEbeRWgbNEkqO"),
    );
    assert_eq!(first, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    let first = ClientFirst::parse(&first, Mechanism::ScramSha256, None).unwrap();
    let (challenge, waiting) =
        first.challenge(verifier_of("pencil"), &nonce("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"));
    assert_eq!(
        String::from_utf8(challenge.clone()).unwrap(),
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    );
    let (last, exchange) = exchange.handle_server_first(&challenge).unwrap();
    assert_eq!(
        String::from_utf8(last.clone()).unwrap(),
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    let answer = waiting.handle_client_final(&last).unwrap();
    assert_eq!(answer, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    assert_eq!(exchange.handle_server_final(&answer), Ok(()));
}

#[test]
fn right_password_signs_in_and_a_wrong_one_does_not() {
    check("pencil", Tampering::default(), Ok(()));
    check("pen", Tampering::default(), Err(ScramError::InvalidProof));
    check("Pencil", Tampering::default(), Err(ScramError::InvalidProof));
}

#[test]
fn verifier_with_the_default_iterations_signs_in() {
    let verifier = Verifier::derive(&password("pencil"), [3; 16]);
    let (first, exchange) = ClientExchange::start(
        &juliet(),
        password("pencil"),
        &ClientBinding::Unsupported,
        Nonce::from_entropy([1; NONCE_BYTES]),
    );
    let first = ClientFirst::parse(&first, Mechanism::ScramSha256, None).unwrap();
    let (challenge, waiting) = first.challenge(verifier, &Nonce::from_entropy([2; NONCE_BYTES]));
    let (last, exchange) = exchange.handle_server_first(&challenge).unwrap();
    let answer = waiting.handle_client_final(&last).unwrap();
    assert_eq!(exchange.handle_server_final(&answer), Ok(()));
}

#[test]
fn unknown_user_gets_the_same_messages_and_never_signs_in() {
    let (first, exchange) = ClientExchange::start(
        &juliet(),
        password("pencil"),
        &ClientBinding::Unsupported,
        nonce("client"),
    );
    let first = ClientFirst::parse(&first, Mechanism::ScramSha256, None).unwrap();
    let decoy = Verifier::decoy(&SECRET, first.user_name());
    let known = Verifier::derive(&password("pencil"), [3; 16]);
    let (of_known, _) = ClientFirst::parse(b"n,,n=juliet,r=client", Mechanism::ScramSha256, None)
        .unwrap()
        .challenge(known, &nonce("server"));
    let (of_decoy, waiting) = first.challenge(decoy, &nonce("server"));
    assert_eq!(of_known.len(), of_decoy.len());
    let (last, _) = exchange.handle_server_first(&of_decoy).unwrap();
    assert_eq!(waiting.handle_client_final(&last), Err(ScramError::InvalidProof));
}

#[test]
fn wrong_password_and_unknown_user_are_told_in_the_same_words() {
    assert_eq!(ScramError::InvalidProof.server_final(), b"e=invalid-proof");
    let (_, waiting) = ClientExchange::start(
        &juliet(),
        password("pencil"),
        &ClientBinding::Unsupported,
        nonce("client"),
    );
    let (_, waiting) =
        waiting.handle_server_first(b"r=clientserver,s=AAAAAAAAAAA=,i=4096").unwrap();
    assert_eq!(
        waiting.handle_server_final(&ScramError::InvalidProof.server_final()),
        Err(ScramError::RefusedByServer)
    );
}

#[test]
fn commas_and_equals_signs_in_user_names_are_escaped_and_read_back() {
    let name = UserName::parse("a=b,c").unwrap();
    let (first, _) = ClientExchange::start(
        &name,
        password("pencil"),
        &ClientBinding::Unsupported,
        nonce("client"),
    );
    assert_eq!(first, b"n,,n=a=3Db=2Cc,r=client");
    let first = ClientFirst::parse(&first, Mechanism::ScramSha256, None).unwrap();
    assert_eq!(first.user_name(), "a=b,c");
    for bad in ["n,,n=a=b,r=client", "n,,n=,r=client", "n,,n=a=2c,r=client", "n,,n=a\0,r=client"] {
        let error = ClientFirst::parse(bad.as_bytes(), Mechanism::ScramSha256, None).err();
        assert_eq!(error, Some(ScramError::UserNameEncoding), "{bad:?}");
    }
}

#[test]
fn bound_exchange_signs_in_on_one_connection_and_fails_across_two() {
    let here = || TlsExporter([1; 32]);
    let bound = || ClientBinding::TlsExporter(here());
    let honest = Tampering::default();
    assert_eq!(play("pencil", bound(), Some(here()), &honest), Ok(()));
    assert_eq!(
        play("pencil", bound(), Some(TlsExporter([2; 32])), &honest),
        Err(ScramError::ChannelBindingMismatch)
    );
    assert_eq!(play("pencil", bound(), None, &honest), Err(ScramError::ChannelBindingNotSupported));
}

#[test]
fn flag_y_passes_where_no_binding_is_offered_and_is_a_downgrade_where_one_is() {
    let honest = Tampering::default();
    assert_eq!(play("pencil", ClientBinding::NotOffered, None, &honest), Ok(()));
    assert_eq!(
        play("pencil", ClientBinding::NotOffered, Some(TlsExporter([1; 32])), &honest),
        Err(ScramError::ChannelBindingDowngrade)
    );
    assert_eq!(
        play("pencil", ClientBinding::Unsupported, Some(TlsExporter([1; 32])), &honest),
        Ok(())
    );
}

#[test]
fn flag_changed_on_the_way_is_found_by_the_proof() {
    let y_to_n = Tampering {
        client_first: Some(|message| message.replacen('y', "n", 1)),
        ..Tampering::default()
    };
    assert_eq!(
        play("pencil", ClientBinding::NotOffered, Some(TlsExporter([1; 32])), &y_to_n),
        Err(ScramError::ChannelBindingMismatch)
    );
}

#[test]
fn flag_that_does_not_fit_the_mechanism_is_refused() {
    let exporter = TlsExporter([1; 32]);
    let parse = |message: &str, mechanism| {
        ClientFirst::parse(message.as_bytes(), mechanism, Some(&exporter)).err()
    };
    let unsupported = Some(ScramError::ChannelBindingNotSupported);
    let plus = Mechanism::ScramSha256Plus;
    assert_eq!(parse("n,,n=juliet,r=x", plus), unsupported);
    assert_eq!(parse("y,,n=juliet,r=x", plus), unsupported);
    assert_eq!(parse("p=tls-exporter,,n=juliet,r=x", Mechanism::ScramSha256), unsupported);
    assert_eq!(parse("p=tls-exporter,,n=juliet,r=x", plus), None);
    let type_error = Some(ScramError::ChannelBindingType);
    assert_eq!(parse("p=tls-unique,,n=juliet,r=x", plus), type_error);
    assert_eq!(parse("p=,,n=juliet,r=x", plus), type_error);
    for bad in ["", "n", "n,", "F,,n=juliet,r=x", "P=tls-exporter,,n=juliet,r=x", "nn,,n=a,r=x"] {
        assert!(matches!(parse(bad, plus), Some(ScramError::Malformed(_))), "{bad:?}");
    }
}

#[test]
fn acting_as_another_user_is_refused() {
    let parse =
        |message: &str| ClientFirst::parse(message.as_bytes(), Mechanism::ScramSha256, None).err();
    assert_eq!(parse("n,a=juliet,n=juliet,r=x"), None);
    assert_eq!(parse("n,a=romeo,n=juliet,r=x"), Some(ScramError::AuthorizationIdentity));
    assert!(matches!(parse("n,romeo,n=juliet,r=x"), Some(ScramError::Malformed(_))));
}

#[test]
fn mandatory_extension_is_refused_and_an_optional_one_is_skipped() {
    let parse =
        |message: &str| ClientFirst::parse(message.as_bytes(), Mechanism::ScramSha256, None).err();
    assert_eq!(parse("n,,m=x,n=juliet,r=x"), Some(ScramError::ExtensionNotSupported));
    assert_eq!(parse("n,,n=juliet,r=x,z=later"), None);
    assert!(matches!(parse("n,,n=juliet,r=x,later"), Some(ScramError::Malformed(_))));
    let demanding = Tampering {
        server_first: Some(|message| format!("m=x,{message}")),
        ..Tampering::default()
    };
    check("pencil", demanding, Err(ScramError::ExtensionNotSupported));
    let final_demanding = Tampering {
        client_final: Some(|message| format!("m=x,{message}")),
        ..Tampering::default()
    };
    check("pencil", final_demanding, Err(ScramError::ExtensionNotSupported));
}

#[test]
fn nonce_of_another_exchange_is_refused_by_both_sides() {
    let other = Tampering {
        server_first: Some(|message| message.replacen("r=r", "r=x", 1)),
        ..Tampering::default()
    };
    check("pencil", other, Err(ScramError::NonceMismatch));
    let without_server_part = Tampering {
        server_first: Some(|message| message.replace("hvYDpWUa2RaTCAfuxFI", "")),
        ..Tampering::default()
    };
    check("pencil", without_server_part, Err(ScramError::NonceMismatch));
    let replayed = Tampering {
        client_final: Some(|message| message.replace("hvYDpWUa2RaTCAfuxFI", "hvYDpWUa2RaTCAfuxFJ")),
        ..Tampering::default()
    };
    check("pencil", replayed, Err(ScramError::NonceMismatch));
    let shortened = Tampering {
        client_final: Some(|message| message.replace("hvYDpWUa2RaTCAfuxFI", "")),
        ..Tampering::default()
    };
    check("pencil", shortened, Err(ScramError::NonceMismatch));
}

#[test]
fn client_proves_nothing_to_a_server_that_asks_for_one_iteration_or_for_hours() {
    let asked = |iterations: &'static str| {
        let (_, exchange) = ClientExchange::start(
            &juliet(),
            password("pencil"),
            &ClientBinding::Unsupported,
            nonce("client"),
        );
        let challenge = format!("r=clientserver,s=AAAAAAAAAAA=,i={iterations}");
        exchange.handle_server_first(challenge.as_bytes()).err()
    };
    assert_eq!(asked("1"), Some(ScramError::TooFewIterations(1)));
    assert_eq!(asked("4095"), Some(ScramError::TooFewIterations(4095)));
    assert_eq!(asked("4096"), None);
    assert_eq!(asked("1000001"), Some(ScramError::TooManyIterations(1_000_001)));
    for bad in ["", "0", "-1", "+4096", "04096", "99999999999"] {
        assert!(matches!(asked(bad), Some(ScramError::Malformed(_))), "{bad:?}");
    }
}

#[test]
fn challenge_changed_on_the_way_makes_the_proof_fail() {
    let more_iterations = Tampering {
        server_first: Some(|message| message.replace("i=4096", "i=4097")),
        ..Tampering::default()
    };
    check("pencil", more_iterations, Err(ScramError::InvalidProof));
    let other_salt = Tampering {
        server_first: Some(|message| message.replace("s=W22Z", "s=X22Z")),
        ..Tampering::default()
    };
    check("pencil", other_salt, Err(ScramError::InvalidProof));
}

#[test]
fn changed_proof_or_signature_is_refused() {
    let change_proof = Tampering {
        client_final: Some(|message| {
            let (before, proof) = message.rsplit_once(",p=").unwrap();
            let other = if proof.starts_with('A') { 'B' } else { 'A' };
            format!("{before},p={other}{}", &proof[1..])
        }),
        ..Tampering::default()
    };
    check("pencil", change_proof, Err(ScramError::InvalidProof));
    let change_signature = Tampering {
        server_final: Some(|_| format!("v={}", STANDARD.encode([0; 32]))),
        ..Tampering::default()
    };
    check("pencil", change_signature, Err(ScramError::ServerSignature));
    let no_signature = Tampering { server_final: Some(|_| String::new()), ..Tampering::default() };
    assert!(matches!(
        play("pencil", ClientBinding::Unsupported, None, &no_signature),
        Err(ScramError::Malformed(_))
    ));
}

#[test]
fn overlong_message_is_refused_before_it_is_read() {
    let message = format!("n,,n={},r=x", "a".repeat(SCRAM_MESSAGE_BYTES_MAX));
    assert_eq!(
        ClientFirst::parse(message.as_bytes(), Mechanism::ScramSha256, None).err(),
        Some(ScramError::MessageTooLong)
    );
}

#[test]
fn mechanisms_are_found_by_their_registered_names_only() {
    assert_eq!(Mechanism::from_name("SCRAM-SHA-256"), Some(Mechanism::ScramSha256));
    assert_eq!(Mechanism::from_name("SCRAM-SHA-256-PLUS"), Some(Mechanism::ScramSha256Plus));
    for other in ["", "PLAIN", "SCRAM-SHA-1", "scram-sha-256"] {
        assert_eq!(Mechanism::from_name(other), None);
    }
}

/// Bytes that look like SCRAM more often than random ones do.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        "[nyp],(a=[a-z=]{0,3})?,[nrm]=[a-z=23CD]{0,5},r=[ -~]{0,8}(,[a-z]=?[a-z]?)?"
            .prop_map(Vec::from),
        "(m=x,)?r=client[!-~]{0,5},s=[A-Za-z0-9+/=]{0,12},i=409[0-9]{1,2}(,.{0,3})?"
            .prop_map(Vec::from),
        "[cvem]=[A-Za-z0-9+/=]{0,8},r=[!-~]{0,8},p=[A-Za-z0-9+/=]{0,48}".prop_map(Vec::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn any_bytes_are_answered_and_never_sign_in(message in messages()) {
        let _ = ClientFirst::parse(&message, Mechanism::ScramSha256, None);
        let first = ClientFirst::parse(b"n,,n=juliet,r=client", Mechanism::ScramSha256, None).unwrap();
        let (_, waiting) = first.challenge(Verifier::decoy(&SECRET, "juliet"), &nonce("server"));
        prop_assert!(waiting.handle_client_final(&message).is_err());
        let (_, exchange) = ClientExchange::start(
            &juliet(), password("pencil"), &ClientBinding::Unsupported, nonce("client"));
        let _ = exchange.handle_server_first(&message);
    }

    #[test]
    fn any_user_name_travels_whole(typed in "[!-~]{1,20}") {
        if let Ok(name) = UserName::parse(&typed) {
            let (first, _) = ClientExchange::start(
                &name, password("pencil"), &ClientBinding::Unsupported, nonce("client"));
            let first = ClientFirst::parse(&first, Mechanism::ScramSha256, None).unwrap();
            prop_assert_eq!(first.user_name(), name.as_str());
        }
    }
}
