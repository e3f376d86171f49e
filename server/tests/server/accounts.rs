//! Sign-up, sign-in, devices and invites.

use tidings_protocol_app::wire::client_frame::Body;
use tidings_protocol_app::wire::server_frame::Body as Answer;
use tidings_protocol_app::{id_bytes, wire};
use tidings_protocol_identity::scram::Verifier;
use tidings_protocol_identity::{InviteToken, Password};

use crate::app::{App, Person, random, refused, some_verifier};
use crate::house::House;

#[test]
fn administrator_signs_up_by_the_printed_invite_once() {
    let mut house = House::plain(&[]);
    let invite = house.invite();
    house.kill_and_restart();
    assert_eq!(house.invite().token, invite.token, "the invite stays the same until it is used");

    let mut anna = Person::named("Anna");
    let mut app = App::greeted(&house);
    let sign_up = anna.sign_up(Some(&invite.token), &some_verifier());
    let Answer::SignedUp(signed_up) = app.ask(Body::SignUp(sign_up.clone())) else {
        panic!("not signed up")
    };
    assert!(signed_up.administrator);
    assert_eq!((signed_up.user_name.as_str(), signed_up.display_name.as_str()), ("anna", "anna"));
    let again = app.ask(Body::SignUp(sign_up));
    assert_eq!(again, Answer::SignedUp(signed_up), "a lost answer comes again");
    assert!(app.resume(&mut anna).administrator);

    let other = Person::named("bert").sign_up(Some(&invite.token), &some_verifier());
    assert_eq!(refused(App::greeted(&house).ask(Body::SignUp(other))).name, "INVITE_USED");
    house.kill_and_restart();
    assert_eq!(house.output(), "", "there is nothing to print any more");
}

#[test]
fn sign_up_needs_a_good_invite_and_a_free_name() {
    let house = House::plain(&[]);
    let invite = house.invite().token;
    let mut app = App::greeted(&house);
    let mut ask = |person: &Person, invite: Option<&InviteToken>| {
        app.ask(Body::SignUp(person.sign_up(invite, &some_verifier())))
    };
    let anna = Person::named("anna");
    assert_eq!(refused(ask(&anna, None)).name, "INVITE_REQUIRED");
    let drawn = InviteToken::from_entropy(random());
    assert_eq!(refused(ask(&anna, Some(&drawn))).name, "INVITE_INVALID");
    let nameless = refused(ask(&Person::named("an na"), Some(&invite)));
    assert_eq!(nameless.name, "INVALID_FIELD");
    assert!(nameless.message.contains("user_name"), "{}", nameless.message);
    assert!(matches!(ask(&anna, Some(&invite)), Answer::SignedUp(_)));
}

#[test]
fn invite_of_a_member_makes_one_account() {
    let house = House::plain(&[]);
    let mut anna = Person::named("anna");
    let mut app = App::greeted(&house);
    let sign_up = anna.sign_up(Some(&house.invite().token), &some_verifier());
    app.ask(Body::SignUp(sign_up));
    app.resume(&mut anna);
    let invite = InviteToken::from_entropy(random());
    let token_hash = invite.hash().as_bytes().to_vec().into();
    let create = Body::CreateInvite(wire::CreateInvite { token_hash });
    let Answer::InviteCreated(created) = app.ask(create) else { panic!("no invite") };
    assert_eq!(created.prefix, format!("http://localhost:{}/#invite=", house.port));
    for (name, answer) in [("bert", None), ("carla", Some("INVITE_USED"))] {
        let sign_up = Person::named(name).sign_up(Some(&invite), &some_verifier());
        match (App::greeted(&house).ask(Body::SignUp(sign_up)), answer) {
            (Answer::SignedUp(signed_up), None) => assert!(!signed_up.administrator),
            (answer, Some(name)) => assert_eq!(refused(answer).name, name),
            (answer, None) => panic!("{answer:?}"),
        }
    }
}

#[test]
fn password_signs_another_device_in_and_failures_are_throttled() {
    let house = House::plain(&["--accounts-sign-up", "open"]);
    let mut app = App::greeted(&house);
    let anna = Person::named("anna");
    let verifier = Verifier::derive(&Password::parse("correct horse").unwrap(), random());
    assert!(matches!(app.ask(Body::SignUp(anna.sign_up(None, &verifier))), Answer::SignedUp(_)));

    let mut laptop = anna.on_another_device();
    let answer = app.sign_in(&laptop, "correct horse");
    assert!(matches!(answer, Answer::SignedIn(_)), "{answer:?}");
    app.resume(&mut laptop);

    let nobody = Person::named("nobody");
    for device in [&anna.on_another_device(), &nobody] {
        let refused = refused(App::greeted(&house).sign_in(device, "battery staple"));
        assert_eq!(refused.name, "NOT_AUTHENTICATED");
    }
    let mut tries = App::greeted(&house);
    for _ in 0..4 {
        let device = anna.on_another_device();
        assert_eq!(refused(tries.sign_in(&device, "battery staple")).name, "NOT_AUTHENTICATED");
    }
    let throttled = refused(tries.sign_in(&anna.on_another_device(), "correct horse"));
    assert_eq!(throttled.name, "SIGN_IN_THROTTLED");
    assert_eq!(
        (throttled.limit.as_str(), throttled.limit_value),
        ("sign_in_failures_per_minute", 5)
    );
    assert!(throttled.retry && throttled.retry_after_ms > 0);
}

#[test]
fn revoked_device_is_closed_at_once_and_cannot_come_back() {
    let house = House::plain(&["--accounts-sign-up", "open"]);
    let mut app = App::greeted(&house);
    let mut phone = Person::named("anna");
    let verifier = Verifier::derive(&Password::parse("correct horse").unwrap(), random());
    app.ask(Body::SignUp(phone.sign_up(None, &verifier)));
    app.resume(&mut phone);
    let mut laptop = phone.on_another_device();
    let mut on_laptop = App::greeted(&house);
    on_laptop.sign_in(&laptop, "correct horse");
    on_laptop.resume(&mut laptop);

    let Answer::Devices(devices) = app.ask(Body::ListDevices(wire::ListDevices {})) else {
        panic!("no devices")
    };
    let own = devices.devices.iter().filter(|device| device.this_device).count();
    assert_eq!((devices.devices.len(), own), (2, 1));

    let revoke = wire::RevokeDevice { device: id_bytes(laptop.device.as_bytes()) };
    assert!(matches!(app.ask(Body::RevokeDevice(revoke)), Answer::Done(_)));
    assert_eq!(on_laptop.wait_for_close().code, 4401);
    app.check_alive();
    row_20_revoked_token_on_resume_closes_with_4401_and_no_data(&house, &mut laptop);
}

/// A revoked token gets the same end as one that never was.
fn row_20_revoked_token_on_resume_closes_with_4401_and_no_data(
    house: &House,
    revoked: &mut Person,
) {
    for person in [revoked, &mut Person::named("stranger")] {
        let mut app = App::greeted(house);
        let number = app.say(Body::Resume(person.resume()));
        let closed = app.hear().expect_err("no frame");
        assert_eq!((closed.code, closed.reason.as_str()), (4401, "TokenRevoked"), "{number}");
    }
}

#[test]
fn row_20_revoked_token_on_resume_closes_with_4401() {
    let house = House::plain(&["--accounts-sign-up", "open"]);
    let (mut app, mut anna) = App::new_person(&house, "anna");
    let (mut witness, _) = App::new_person(&house, "witness");
    let revoke = wire::RevokeDevice { device: id_bytes(anna.device.as_bytes()) };
    app.say(Body::RevokeDevice(revoke));
    assert_eq!(app.wait_for_close().code, 4401);
    row_20_revoked_token_on_resume_closes_with_4401_and_no_data(&house, &mut anna);
    witness.check_alive();
}

#[test]
fn newer_connection_of_a_device_replaces_the_older() {
    let house = House::plain(&["--accounts-sign-up", "open"]);
    let (mut older, mut anna) = App::new_person(&house, "anna");
    let mut newer = App::live(&house, &mut anna);
    let closed = older.wait_for_close();
    assert_eq!((closed.code, closed.reason.as_str()), (4409, "Replaced"));
    newer.check_alive();
}

#[test]
fn resume_counter_seen_before_tells_the_device_that_it_was_restored() {
    let house = House::plain(&["--accounts-sign-up", "open"]);
    let (_, mut anna) = App::new_person(&house, "anna");
    let mut app = App::greeted(&house);
    anna.counter -= 1;
    assert!(app.resume(&mut anna).restored);
    assert!(!App::greeted(&house).resume(&mut anna).restored);
}
