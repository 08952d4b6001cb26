//! The rate of one key, at times that the tests choose.

use ledger::{Rejection, SellerCreated};

use super::*;

const KEY: ApiKeyNumber = 7;
/// A decision of a command that no one decided before.
const NEW: Decided = Decided::NotRecorded(Rejection::UnknownSeller);

fn rates(per_second: u32) -> Rates {
    Rates::new(NonZeroU32::new(per_second).unwrap())
}

fn meter(rates: &Rates) -> Meter<'_> {
    rates.meter(KEY)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn replay() -> Decided {
    let event = ledger::Event::SellerCreated(SellerCreated { name: ledger::Name::new("a").unwrap() });
    let record =
        ledger::Record { number: 2, time: ledger::Time(1), actor: 1, idempotency_key: None, origin: None, event };
    Decided::Recorded { record: std::sync::Arc::new(record), replayed: true }
}

/// A request of so many new commands; the time after which it passes where it does not.
fn send(meter: &Meter<'_>, count: usize, now: Instant) -> Result<(), Duration> {
    let taken = meter.take_at(count, || false, now)?;
    meter.settle_at(taken, &vec![NEW; count], now);
    Ok(())
}

#[test]
fn a_second_s_worth_passes_at_once_and_then_one_after_the_other() {
    for per_second in [1, 3, 7, 100, 999_983] {
        let rates = rates(per_second);
        let meter = meter(&rates);
        let now = Instant::now();
        for left in (0..per_second.min(1_000)).rev() {
            let expected = left + per_second - per_second.min(1_000);
            assert_eq!(send(&meter, 1, now), Ok(()), "{per_second}/s");
            assert_eq!(meter.left(now).commands, expected, "{per_second}/s");
        }
        if per_second > 1_000 {
            continue;
        }
        let wait = send(&meter, 1, now).expect_err("one too many");
        assert!(wait <= meter.time_of(1) + Duration::from_micros(1), "{per_second}/s: {wait:?}");
        assert_eq!(send(&meter, 1, now + wait), Ok(()), "it passes after the wait that it was given");
    }
}

#[test]
fn a_batch_larger_than_the_rate_passes_and_is_paid_back() {
    let rates = rates(100);
    let meter = meter(&rates);
    let now = Instant::now();
    assert_eq!(send(&meter, 8_000, now), Ok(()));
    assert_eq!(meter.left(now), Left { commands: 0, full_in: Duration::from_secs(80) });
    assert_eq!(send(&meter, 1, now), Err(ms(79_010)));
    assert_eq!(send(&meter, 8_000, now), Err(ms(79_010)), "a batch waits no longer than a command");
    assert!(send(&meter, 8_000, now + ms(79_000)).is_err());
    assert_eq!(send(&meter, 8_000, now + ms(79_010)), Ok(()));
}

#[test]
fn a_batch_passes_beside_single_commands_however_many_there_are() {
    for (per_second, every_us) in [(100, 20_000), (100, 10_000), (100, 500), (2, 1_000), (1, 1_000), (7, 99_000)] {
        let rates = rates(per_second);
        let meter = meter(&rates);
        let begun = Instant::now();
        let (mut now, mut come_again, mut batches, mut singles) = (begun, begun + ms(1_500), 0_u32, 0_u32);
        while now - begun < Duration::from_mins(1) {
            singles += u32::from(send(&meter, 1, now).is_ok());
            if now >= come_again {
                match send(&meter, 10, now) {
                    Ok(()) => (batches, come_again) = (batches + 1, now + ms(500)),
                    Err(wait) => {
                        let left = meter.left(now);
                        assert_eq!(left.commands, 0, "the command reserved for the batch is not there for others");
                        // As late as a caller returns that obeys `Retry-After`.
                        come_again = now + Duration::from_secs(retry_after(wait)) + ms(300);
                        assert_eq!(meter.lock().get(KEY, now).reserved_until, come_again + ms(700));
                    }
                }
            }
            now += Duration::from_micros(every_us);
        }
        // A batch costs 10 / rate seconds, and each of them may be refused once.
        let least = 60 * per_second / (10 + 3 * per_second);
        assert!(batches >= least, "{per_second}/s, one in {every_us} us: {batches} batches and {singles} singles");
        let most = 60 * per_second + per_second + 10;
        assert!(singles + 10 * batches <= most, "{per_second}/s: {batches} batches and {singles} singles");
    }
}

#[test]
fn over_any_time_a_key_has_its_rate_and_little_more_at_most() {
    const SEED: u64 = 11;
    let rates = rates(50);
    let meter = meter(&rates);
    let begin = Instant::now();
    let mut number = numbers(SEED);
    let (mut passed, mut now) = (0, begin);
    for _ in 0..20_000 {
        now += ms(number() % 20);
        let count = 1 + (number() % 60) as usize;
        if send(&meter, count, now).is_ok() {
            passed += count as u64;
        }
        let bound = 50.0 * (now - begin).as_secs_f64() + 50.0 + 60.0;
        assert!(passed as f64 <= bound, "seed {SEED}: {passed} commands in {:?}", now - begin);
    }
    assert!(passed as f64 >= 0.9 * 50.0 * (now - begin).as_secs_f64(), "seed {SEED}: the rate can be used: {passed}");
}

/// A xorshift generator: the same numbers in each run.
fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

#[test]
fn a_replay_costs_a_tenth_and_what_was_not_decided_nothing() {
    let rates = rates(100);
    let meter = meter(&rates);
    let now = Instant::now();
    let sent = |decided: &[Decided]| {
        let taken = meter.take_at(50, || panic!("it passes"), now).unwrap();
        assert_eq!(taken, Reserved::Commands(ms(500)), "the whole, as long as it is not known what it costs");
        let meanwhile = meter.left(now).full_in;
        meter.settle_at(taken, decided, now);
        (meanwhile, meter.left(now).full_in)
    };
    assert_eq!(sent(&[]), (ms(500), ms(0)), "no leader, no room");
    assert_eq!(sent(&vec![replay(); 50]), (ms(500), ms(50)));
    assert_eq!(sent(&[vec![replay(); 40], vec![NEW; 10]].concat()), (ms(550), ms(50 + 40 + 100)));
    // A cost that is returned long after the bucket was full again does not fill it further.
    let late = now + Duration::from_secs(9);
    let taken = meter.take_at(100, || false, now).unwrap();
    meter.settle_at(taken, &[], late);
    assert_eq!(meter.left(late), Left { commands: 100, full_in: ms(0) });
}

#[test]
fn an_outcome_can_be_learned_once_a_second_whatever_is_owed() {
    let rates = rates(1);
    let meter = meter(&rates);
    let now = Instant::now();
    send(&meter, 8_000, now).unwrap();
    let owed = meter.left(now);
    for second in 0..5 {
        let now = now + Duration::from_secs(second);
        let taken = meter.take_at(8_000, || true, now).unwrap();
        assert_eq!(taken, Reserved::Asked);
        meter.settle_at(taken, &vec![replay(); 8_000], now);
        assert_eq!(meter.take_at(8_000, || true, now + ms(1)), Err(ms(999)), "and learns when it can again");
    }
    let later = meter.left(now + Duration::from_secs(4));
    assert_eq!(later.full_in, owed.full_in.saturating_sub(Duration::from_secs(4)), "it costs nothing");
    assert!(meter.take_at(1, || false, now).unwrap_err() > Duration::from_secs(7_990), "others wait");
    // A key that expired between the lookup and the log is decided anew, and paid.
    let taken = meter.take_at(1, || true, now + Duration::from_secs(5)).unwrap();
    meter.settle_at(taken, &[NEW], now + Duration::from_secs(5));
    assert_eq!(meter.left(now).full_in, owed.full_in + Duration::from_secs(1));
}

#[test]
fn keys_have_buckets_of_their_own_and_full_ones_are_dropped() {
    let rates = rates(10);
    let begin = Instant::now();
    for key in 0..100_000 {
        let meter = rates.meter(key);
        assert_eq!(send(&meter, 1, begin + ms(key)), Ok(()));
    }
    let held = rates.buckets.lock().of.len();
    assert!(held <= 2 * SWEEP_MIN, "{held} buckets for about 100 that are not full");
}

#[test]
fn every_answer_says_what_is_left_and_a_refusal_when_to_come_again() {
    let rates = rates(2);
    let meter = meter(&rates);
    let taken = meter.take(2, || false).unwrap();
    meter.settle(taken, &[NEW, NEW]);
    let answer = meter.shown(Ok(Response::new(Body::empty())));
    assert_eq!(answer.headers()["ratelimit-policy"], "\"default\";q=2;w=1");
    assert_eq!(answer.headers()["ratelimit"], "\"default\";r=0;t=1");
    let refused = meter.refused(meter.take(1, || false).unwrap_err());
    assert_eq!((refused.status().as_u16(), &refused.headers()[header::RETRY_AFTER]), (429, &HeaderValue::from(1)));
    assert_eq!(refused.headers()["ratelimit"], "\"default\";r=0;t=1");
    let meter = rates.meter(KEY + 1);
    let taken = meter.take(1, || false).unwrap();
    meter.settle(taken, &[NEW]);
    let other = meter.shown(Err(Problem::not_found()));
    assert_eq!(
        (other.status().as_u16(), &other.headers()["ratelimit"]),
        (404, &HeaderValue::from_static("\"default\";r=1;t=1"))
    );
}
