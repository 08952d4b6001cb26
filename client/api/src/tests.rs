//! The bodies as bytes: what is read, what is refused, and how answers are laid out.

use serde_json::{from_str, json, to_string, to_value};
use uuid::Uuid;

use super::*;

fn minor(text: &str, decimals: u32) -> Result<i64, AmountError> {
    from_str::<AmountIn>(text).map_err(|_| AmountError::Malformed)?.minor(decimals)
}

#[test]
fn an_amount_is_a_decimal_string_or_an_integer() {
    assert_eq!(minor("\"5000\"", 0), Ok(5_000));
    assert_eq!(minor("5000", 0), Ok(5_000));
    assert_eq!(minor("\"-5000\"", 0), Ok(-5_000));
    assert_eq!(minor("-5000", 0), Ok(-5_000));
    assert_eq!(minor("\"12.5\"", 2), Ok(1_250));
    assert_eq!(minor("12", 4), Ok(120_000));
    assert_eq!(minor("\"007\"", 0), Ok(7));
    assert_eq!(minor("\"-0\"", 0), Ok(0));
}

#[test]
fn no_more_digits_stand_after_the_point_than_the_currency_has_places() {
    for (text, decimals) in [("\"50.000\"", 0), ("\"1.0\"", 0), ("\"1.500\"", 2), ("\"-50.000\"", 2), ("\"0.0000\"", 3)]
    {
        let error = minor(text, decimals).unwrap_err();
        assert_eq!(error, AmountError::TooPrecise { decimals }, "{text}");
        assert!(error.to_string().contains("thousands separator"), "{error}");
    }
    assert_eq!(minor("\"1.50\"", 2), Ok(150));
    assert_eq!(minor("\"1.5\"", 2), Ok(150));
    assert_eq!(minor("\"50.000\"", 3), Ok(50_000));
    assert_eq!(from_str::<AmountIn>("\"1.50\"").unwrap(), from_str::<AmountIn>("\"1.5\"").unwrap());
}

#[test]
fn leading_zeros_and_a_sign_before_zero_change_nothing() {
    let zeros = "0".repeat(2_000_000);
    assert_eq!(AmountIn::parse(&format!("-{zeros}5")).unwrap().minor(0), Ok(-5));
    assert_eq!(AmountIn::parse("-0.00").unwrap().minor(2), Ok(0));
    for zero in ["0", "-0"] {
        assert_eq!(AmountIn::parse(zero).unwrap().to_string(), "0");
        assert_eq!(AmountOut::parse(zero).unwrap(), AmountOut::new(0, 0));
    }
}

#[test]
fn an_answers_amount_is_read_by_the_same_grammar() {
    assert_eq!(
        AmountOut::parse("-1234567890123456789.25").unwrap(),
        AmountOut::new(-123_456_789_012_345_678_925_i128, 2)
    );
    for text in ["", "+5", "5.", ".5", "1e3", "1_000", "5,0", " 5", "1.2.3", "--5", "\u{6f5}"] {
        assert!(AmountOut::parse(text).is_err() && AmountIn::parse(text).is_err(), "{text}");
    }
    assert_eq!(AmountOut::parse("0.00000"), Err(AmountError::TooPrecise { decimals: 4 }));
    assert_eq!(AmountOut::parse(&"9".repeat(2_000_000)), Err(AmountError::TooLarge));
}

/// A program sends the value that it read: a point that was written is not lost before the decimals are known.
#[test]
fn an_amount_is_sent_as_it_was_written() {
    for text in ["50.000", "-1.50", "5000", "0.0000"] {
        assert_eq!(to_string(&AmountIn::parse(text).unwrap()).unwrap(), format!("\"{text}\""));
    }
    assert_eq!(AmountIn::from_minor(5_000, 2).to_string(), "50.00");
}

#[test]
fn the_character_that_is_in_an_amounts_way_is_named() {
    let wrong = [
        ("+5", '+'),
        (" 5", ' '),
        ("5,000", ','),
        ("5\u{66c}000", '\u{66c}'),
        ("5\u{202f}000", '\u{202f}'),
        ("1e3", 'e'),
        ("1.234.567", '.'),
        ("5.-1", '-'),
        ("--5", '-'),
        ("\u{6f5}", '\u{6f5}'),
        ("\u{202d}5000", '\u{202d}'),
        ("5000\u{200b}", '\u{200b}'),
    ];
    for (text, character) in wrong {
        let error = AmountIn::parse(text).unwrap_err();
        assert_eq!(error, AmountError::Character(character), "{text:?}");
        assert!(error.to_string().contains(&format!("U+{:04X}", u32::from(character))), "{error}");
    }
    for text in ["", "-", ".", ".5", "5."] {
        assert_eq!(AmountIn::parse(text), Err(AmountError::Malformed), "{text}");
    }
}

#[test]
fn everything_else_is_refused() {
    let texts = [
        "\"\"",
        "\"-\"",
        "\"+5\"",
        "\" 5\"",
        "\"5 \"",
        "\"5,000\"",
        "\"5_000\"",
        "\"5e3\"",
        "\"0x10\"",
        "\".5\"",
        "\"5.\"",
        "\"5.-1\"",
        "\"--5\"",
        "\"1.2.3\"",
        "\"NaN\"",
        "\"inf\"",
        "\"\u{6f5}\"",
        "1.0",
        "1.5",
        "5e3",
        "1E0",
        "-0.0",
        "null",
        "true",
        "[]",
        "{}",
        "99999999999999999999999",
    ];
    for text in texts {
        assert!(from_str::<AmountIn>(text).is_err(), "{text} was read as an amount");
    }
}

#[test]
fn an_amount_more_precise_than_the_currency_is_refused() {
    assert_eq!(minor("\"0.5\"", 0), Err(AmountError::TooPrecise { decimals: 0 }));
    assert_eq!(minor("\"0.12345\"", 4), Err(AmountError::Malformed));
    assert_eq!(AmountIn::parse("0.12345"), Err(AmountError::TooPrecise { decimals: 4 }));
}

#[test]
fn an_amount_is_at_most_ten_to_the_fifteenth_minor_units() {
    assert_eq!(minor("\"1000000000000000\"", 0), Ok(MAX_MINOR));
    assert_eq!(minor("1000000000000000", 0), Ok(MAX_MINOR));
    assert_eq!(minor("\"-1000000000000000\"", 0), Ok(-MAX_MINOR));
    assert_eq!(minor("\"1000000000000001\"", 0), Err(AmountError::TooLarge));
    assert_eq!(minor("\"100000000000.0001\"", 4), Err(AmountError::TooLarge));
    assert_eq!(minor("\"1000000000000000\"", 4), Err(AmountError::TooLarge));
    assert_eq!(AmountIn::parse("99999999999999999"), Err(AmountError::TooLarge));
    assert_eq!(AmountIn::parse(&"9".repeat(1_000)), Err(AmountError::TooLarge));
}

#[test]
fn a_charge_is_positive_and_an_adjustment_is_not_zero() {
    let of = |text| AmountIn::parse(text).unwrap();
    assert_eq!(of("1").positive(0), Ok(1));
    assert_eq!(of("0").positive(0), Err(AmountError::NotPositive));
    assert_eq!(of("-1").positive(0), Err(AmountError::NotPositive));
    assert_eq!(of("-1").nonzero(0), Ok(-1));
    assert_eq!(of("0.00").nonzero(2), Err(AmountError::Zero));
}

#[test]
fn an_amount_goes_out_with_exactly_its_places() {
    let shown = |minor: i64, decimals| AmountOut::new(minor, decimals).to_string();
    assert_eq!(shown(5_000, 0), "5000");
    assert_eq!(shown(5_000, 2), "50.00");
    assert_eq!(shown(-5, 4), "-0.0005");
    assert_eq!(shown(0, 3), "0.000");
    assert_eq!(to_string(&AmountOut::new(-1_250, 2)).unwrap(), "\"-12.50\"");
    for (minor, decimals) in [(0, 0), (-1, 1), (12_345, 4), (i64::MIN, 2), (i64::MAX, 0)] {
        let amount = AmountOut::new(minor, decimals);
        assert_eq!(from_str::<AmountOut>(&to_string(&amount).unwrap()).unwrap(), amount);
    }
}

#[test]
fn a_time_is_rfc_3339_with_milliseconds() {
    assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
    assert_eq!(Timestamp(951_782_400_123).to_string(), "2000-02-29T00:00:00.123Z");
    assert_eq!(Timestamp(4_102_444_799_999).to_string(), "2099-12-31T23:59:59.999Z");
    assert_eq!("2026-01-31T12:00:00+03:30".parse(), Ok::<_, TimestampError>(Timestamp(1_769_848_200_000)));
    assert_eq!(Timestamp(1_769_848_200_000).to_string(), "2026-01-31T08:30:00.000Z");
}

#[test]
fn every_day_of_four_centuries_is_read_back_as_written() {
    for day in 0..146_097_u64 {
        let time = Timestamp(day * 86_400_000 + 12_345);
        assert_eq!(time.to_string().parse(), Ok::<_, TimestampError>(time));
    }
}

#[test]
fn a_part_of_a_millisecond_counts_as_a_whole_one() {
    let ms = |text: &str| Timestamp::parse(text).unwrap().0;
    assert_eq!(ms("1970-01-01T00:00:00.1Z"), 100);
    assert_eq!(ms("1970-01-01T00:00:00.123000Z"), 123);
    assert_eq!(ms("1970-01-01T00:00:00.1230001Z"), 124);
}

#[test]
fn a_time_of_any_year_is_read_and_one_before_the_epoch_is_the_epoch() {
    for text in [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "1582-10-10T12:00:00Z",
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T00:00:00+03:30",
        "1969-12-31T20:30:00-03:30",
    ] {
        assert_eq!(Timestamp::parse(text), Ok(Timestamp(0)), "{text}");
    }
    assert_eq!(Timestamp::parse("1969-12-31T23:59:59.9999Z"), Ok(Timestamp(0)));
    assert_eq!(Timestamp::parse("1969-12-31T20:30:00.001-03:30"), Ok(Timestamp(1)));
    for text in ["9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.9999Z", "9999-12-31T23:59:59-23:59"] {
        let last = Timestamp::parse(text).unwrap();
        assert_eq!(last.to_string(), "9999-12-31T23:59:59.999Z", "{text}");
        assert_eq!(last.to_string().parse(), Ok::<_, TimestampError>(last));
    }
}

#[test]
fn a_leap_second_is_read_where_one_may_be() {
    let new_year = Timestamp::parse("2017-01-01T00:00:00Z");
    assert!(new_year.is_ok());
    for text in ["2016-12-31T23:59:60Z", "2016-12-31T23:59:60.5Z", "2017-01-01T03:29:60+03:30"] {
        assert_eq!(Timestamp::parse(text), new_year, "{text}");
    }
}

#[test]
fn a_time_after_9999_is_shown_as_its_last_millisecond() {
    assert_eq!(Timestamp(u64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
}

#[test]
fn a_time_that_does_not_exist_is_refused() {
    let texts = [
        "",
        "2026",
        "2026-01-31",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T00:60:00Z",
        "2026-01-31T00:00:61Z",
        "2026-01-31T00:00:60Z",
        "2026-01-30T23:59:60Z",
        "2026-01-31T23:59:60+03:30",
        "2026-01-31X00:00:00Z",
        "2026-01-31\u{a0}00:00:00Z",
        "2026-01-31T00:00:00",
        "2026-01-31T00:00:00.Z",
        "2026-01-31T00:00:00Z ",
        "2026-01-31T00:00:00+0330",
        "2026-01-31T00:00:00+25:00",
        "0000-12-31T23:59:59Z",
        "-0001-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "2026-01-31T00:00:0\u{6f5}Z",
    ];
    for text in texts {
        assert_eq!(Timestamp::parse(text), Err(TimestampError), "{text}");
    }
}

#[test]
fn a_charge_request_borrows_its_phone_and_refuses_unknown_fields() {
    let charge: NewCharge<'_> = from_str(r#"{"phone":"0912 345 6789","amount":5000}"#).unwrap();
    assert!(matches!(charge.phone, std::borrow::Cow::Borrowed("0912 345 6789")));
    assert!(from_str::<NewCharge<'_>>(r#"{"phone":"1","amount":1,"note":"x"}"#).is_err());
    assert!(from_str::<NewCharge<'_>>(r#"{"phone":9123456789,"amount":1}"#).is_err());
    assert!(from_str::<NewCharge<'_>>(r#"{"amount":1}"#).is_err());
    assert_eq!(to_string(&charge).unwrap(), r#"{"phone":"0912 345 6789","amount":"5000"}"#);
}

fn charge() -> Charge {
    Charge {
        reference: None,
        id: Uuid::from_u128(1),
        entry: 7,
        seller_id: Uuid::from_u128(2),
        phone: "+989123456789".into(),
        amount: AmountOut::new(5_000, 0),
        balance: AmountOut::new(700_000, 0),
        created_at: Timestamp(0),
    }
}

#[test]
fn a_charge_has_its_fields_in_the_contracts_order() {
    let text = r#"{"id":"00000000-0000-0000-0000-000000000001","entry":7,"seller_id":"00000000-0000-0000-0000-000000000002","phone":"+989123456789","amount":"5000","balance":"700000","reference":null,"created_at":"1970-01-01T00:00:00.000Z"}"#;
    assert_eq!(to_string(&charge()).unwrap(), text);
    let read = ChargeRead { charge: charge(), reversed_by: None };
    assert_eq!(to_string(&read).unwrap(), text.replace("\"}", "\",\"reversed_by\":null}"));
    assert_eq!(from_str::<ChargeRead>(&to_string(&read).unwrap()).unwrap(), read);
}

#[test]
fn a_batch_result_has_a_charge_or_a_problem() {
    let done = BatchResult { status: 201, replayed: false, charge: Some(charge()), problem: None };
    assert!(to_string(&done).unwrap().starts_with(r#"{"status":201,"replayed":false,"charge":{"id""#));
    let problem = Problem::new(Code::InsufficientCredit, "too little").with_balance(AmountOut::new(10, 0));
    let refused = BatchResult { status: 409, replayed: true, charge: None, problem: Some(problem) };
    assert_eq!(
        to_value(&refused).unwrap(),
        json!({"status":409,"replayed":true,"problem":{"type":"/problems/insufficient-credit","code":"insufficient_credit",
            "title":"The credit does not suffice","status":409,"detail":"too little","retryable":false,"balance":"10"}})
    );
}

#[test]
fn a_problem_has_its_fields_in_the_contracts_order() {
    let errors = vec![FieldError { pointer: "/amount".into(), detail: "bad".into() }];
    let text = to_string(&Problem::new(Code::InvalidRequest, "1 thing is wrong").with_errors(errors)).unwrap();
    assert_eq!(
        text,
        r#"{"type":"/problems/invalid-request","code":"invalid_request","title":"The request is not valid","status":400,"detail":"1 thing is wrong","retryable":false,"errors":[{"pointer":"/amount","detail":"bad"}]}"#
    );
    assert_eq!(to_string(&from_str::<Problem>(&text).unwrap()).unwrap(), text);
}

#[test]
fn every_code_is_written_as_its_text_and_names_its_type() {
    for code in Code::ALL {
        assert_eq!(to_string(&code).unwrap(), format!("\"{}\"", code.as_str()));
        assert_eq!(code.type_path(), format!("/problems/{}", code.as_str().replace('_', "-")));
    }
}
