// SPDX-License-Identifier: Apache-2.0
//! The questions of policy_world.py, asked of Cedar in the same process as its engine: no binding, no server, no JSON on
//! the way. First every answer must be the one that policy_bench gave; then it is timed, by processor time, the best round
//! of each piece of work. Policies and entities are loaded before, and so are the facts of a patient: building them is
//! timed apart. Lines that begin with '=' are figures for run.sh.
//!
//!     cedar-peer WORLD

use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request, RestrictedExpression};
use serde_json::{json, Value};
use std::{collections::HashMap, fs, str::FromStr};

const ROUNDS: usize = 3;
const PIECE: usize = 50;

struct Case {
    fields: Vec<String>,
}

impl Case {
    fn patient(&self) -> &str {
        &self.fields[0]
    }
    fn classes(&self) -> Vec<&str> {
        self.fields[7].split(',').collect()
    }
}

fn read(folder: &str, name: &str) -> String {
    let path = format!("{folder}/{name}");
    fs::read_to_string(&path).unwrap_or_else(|why| panic!("{path}: {why}"))
}

fn uid(kind: &str, name: &str) -> EntityUid {
    EntityUid::from_str(&format!("{kind}::\"{name}\"")).expect("an entity")
}

fn seconds() -> f64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut t) };
    t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9
}

/// What the patient's consents come to is there already (facts); what the question says is added.
fn context(case: &Case, facts: &HashMap<String, (RestrictedExpression, RestrictedExpression)>) -> Context {
    let f = &case.fields;
    let (given, denied) = facts[case.patient()].clone();
    let classes = case.classes().into_iter().map(|c| RestrictedExpression::new_string(c.to_owned()));
    Context::from_pairs([
        ("given".to_owned(), given),
        ("denied".to_owned(), denied),
        ("treating".to_owned(), RestrictedExpression::new_bool(f[3] == "1")),
        ("emergency".to_owned(), RestrictedExpression::new_bool(f[4] == "1")),
        ("purpose".to_owned(), RestrictedExpression::new_string(f[5].clone())),
        ("discloser".to_owned(), RestrictedExpression::new_string(f[6].clone())),
        ("classes".to_owned(), RestrictedExpression::new_set(classes)),
    ])
    .expect("a context")
}

fn request(case: &Case, resource: EntityUid, context: Context) -> Request {
    let f = &case.fields;
    let who = uid("Recipient", &format!("{}@{}", f[1], f[2]));
    Request::new(who, uid("Action", &f[5]), resource, context, None).expect("a request")
}

fn expression(value: &Value) -> RestrictedExpression {
    match value {
        Value::String(text) => RestrictedExpression::new_string(text.clone()),
        Value::Array(list) => RestrictedExpression::new_set(list.iter().map(expression)),
        Value::Object(map) => {
            RestrictedExpression::new_record(map.iter().map(|(k, v)| (k.clone(), expression(v)))).expect("a record")
        }
        other => panic!("not a fact: {other}"),
    }
}

/// One way of saying the policy: which requests answer a question. It is released if every one of them is allowed.
struct Way {
    name: &'static str,
    policies: PolicySet,
    each_class: bool,
}

impl Way {
    fn requests(&self, case: &Case, context: Context) -> Vec<Request> {
        let whole = vec![case.patient()];
        let names = if self.each_class { case.classes() } else { whole };
        let kind = if self.each_class { "Class" } else { "Record" };
        names.into_iter().map(|n| request(case, uid(kind, n), context.clone())).collect()
    }

    fn released(&self, engine: &Authorizer, entities: &Entities, requests: &[Request]) -> bool {
        requests.iter().all(|r| engine.is_authorized(r, &self.policies, entities).decision() == Decision::Allow)
    }
}

/// Seconds for a question: the mean over the pieces of the best round of each.
fn measure(count: usize, mut work: impl FnMut(usize)) -> f64 {
    let pieces = count / PIECE;
    let mut sum = 0.0;
    for piece in 0..pieces {
        let best = (0..ROUNDS)
            .map(|_| {
                let begin = seconds();
                (piece * PIECE..(piece + 1) * PIECE).for_each(&mut work);
                seconds() - begin
            })
            .fold(f64::MAX, f64::min);
        sum += best / PIECE as f64;
    }
    sum / pieces as f64
}

fn main() {
    let folder = std::env::args().nth(1).expect("usage: cedar-peer WORLD");
    let cases: Vec<Case> = read(&folder, "cases.tsv")
        .lines()
        .map(|l| Case { fields: l.split('\t').map(str::to_owned).collect() })
        .collect();
    let engine = Authorizer::new();
    let entities = Entities::from_json_str(&read(&folder, "cedar/entities.json"), None).expect("entities");
    let ways = ["rules", "classes"].map(|name| Way {
        name,
        policies: PolicySet::from_str(&read(&folder, &format!("cedar/{name}.cedar"))).expect("policies"),
        each_class: name == "rules",
    });
    let mut best = f64::MAX;
    for set in ["plain", "disclosers"] {
        let answers = read(&folder, &format!("{set}.answers"));
        let known: Value = serde_json::from_str(&read(&folder, &format!("cedar/{set}.json"))).expect("facts");
        let empty = json!({"given": {}, "denied": []});
        let facts = (0..1000)
            .map_while(|n| known.get(format!("pt{n}")).map(|f| (format!("pt{n}"), f)))
            .map(|(n, f)| (n, (expression(f.get("given").unwrap_or(&empty["given"])), expression(&f["denied"]))))
            .collect();
        let contexts: Vec<Context> = cases.iter().map(|c| context(c, &facts)).collect();
        let built = measure(cases.len().min(200), |i| drop(context(&cases[i], &facts)));
        for way in &ways {
            let asked: Vec<_> = cases.iter().zip(&contexts).map(|(c, x)| way.requests(c, x.clone())).collect();
            let said: String =
                asked.iter().map(|r| if way.released(&engine, &entities, r) { '1' } else { '0' }).collect();
            let other = said.chars().zip(answers.chars()).filter(|(a, b)| a != b).count();
            if other > 0 || said.len() != answers.len() {
                eprintln!("cedar-peer: {set}, {}: {other} of {} answers differ", way.name, said.len());
                std::process::exit(1);
            }
            let took = measure(cases.len().min(500), |i| {
                std::hint::black_box(way.released(&engine, &entities, &asked[i]));
            });
            best = best.min(took);
            println!(
                "cedar {set:<10} {:<8} {} policies: decide {:.1} us, building the context of a request {:.1} us; {} answers alike",
                way.name,
                way.policies.policies().count(),
                took * 1e6,
                built * 1e6,
                said.len()
            );
        }
    }
    println!("= Cedar, the same 200 rules, a decision\t{:.1}\tus\t-\t-", best * 1e6);
}
