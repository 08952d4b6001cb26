//! Starting processes that die with the test process, however it ends.
//!
//! The kernel sends the death signal when the *thread* that started a child ends, and each test is a thread; so one
//! thread that lives as long as the process starts them all.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::process::{Signal, set_parent_process_death_signal};

type Order = Box<dyn FnOnce() + Send>;

/// Starts `command` as a child that is killed when this process ends.
pub fn spawn(mut command: Command) -> io::Result<Child> {
    // SAFETY: prctl is safe to call between fork and exec; it allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    let (answer, answered) = sync_channel(1);
    let order: Order = Box::new(move || {
        answer.send(command.spawn()).expect("the test waits for its child");
    });
    let orders = orders().lock().unwrap_or_else(PoisonError::into_inner).clone();
    orders.send(order).expect("the spawning thread lives as long as the process");
    answered.recv().expect("the spawning thread answers every order")
}

fn orders() -> &'static Mutex<Sender<Order>> {
    static ORDERS: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    ORDERS.get_or_init(|| {
        let (orders, received): (Sender<Order>, Receiver<Order>) = channel();
        std::thread::spawn(move || received.into_iter().for_each(|order| order()));
        Mutex::new(orders)
    })
}
