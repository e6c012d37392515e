// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.EventDescriptor;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.IoUring;
import org.dmera.core.linux.MappedMemory;
import org.dmera.core.linux.RawIo;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.targets.Client;
import org.dmera.dmsetup.targets.FailureText;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.StorageAreas;
import org.dmera.dmsetup.targets.Threads;

/**
 * The queue of a ublk device, and the one thread that the driver lets take its requests and answer them.
 *
 * <p>The thread serves short requests itself: one system call then takes and answers many. Long ones, those that wait for a
 * disk, and all while the device is suspended, are for a few other threads, so that they are served side by side and none
 * holds up the others' answers; and changes that wait for metadata are finished in the background, so that all that wait
 * share one commit. Those come back by {@link #done}.
 *
 * <p>What is owed is answered only when the driver has taken the answer; and before the thread sleeps, it is. No other thread
 * can give it answers: a short request that hangs in a disk, where none was slow before, holds up all of the node.
 */
final class UblkQueue {
    /** Requests under way at once. */
    static final int DEPTH = 32;
    /** The longest request with data. {@value #DEPTH} of these are the memory that a device costs. */
    static final int MAX_BYTES = BufferPool.LARGEST_BYTES / DEPTH;

    private static final int QUEUE = 0;
    /** Room for an answer to each, and for waiting to be woken. */
    private static final int RING_ENTRIES = 2 * DEPTH;

    private static final long WOKEN = DEPTH;
    /** So many answers are given to the driver at the latest. */
    private static final int MAX_HELD = 16;

    private static final int HELPERS = 8;
    private static final long HELPER_SECONDS = 5;
    /** After some that took long, so many are for others. */
    private static final int SLOW_SHARE = 16;

    private final String node;
    private final DeviceIo io;
    private final Served served;
    private final Supplier<StorageAreas> storage;
    private final BufferPool pool;
    private final int fetch;
    private final int commit;
    private final Consumer<String> log;
    private final Consumer<UblkQueue> onFailure;
    private final Thread thread;
    private final CompletableFuture<Void> ready = new CompletableFuture<>();
    private final BusyPoll poll = new BusyPoll();
    private final BusyPoll.Look comesNow = this::comesNow;

    /** Requests that others are done with, the last one first. */
    private final AtomicReference<UblkRequest> done = new AtomicReference<>();
    /** The thread may sleep, and is to be woken for those. */
    private final AtomicBoolean sleeping = new AtomicBoolean();

    /** The driver lets nobody go while a request is under way, so users are gone only when the thread is. */
    private volatile boolean ended;

    private Client client;
    private Arrival arrival;
    private Failures.Step first;

    // The thread's.
    private EventDescriptor wakeup;
    private IoUring ring;
    private int fd = -1;
    private long address;
    private final UblkRequest[] requests = new UblkRequest[DEPTH];
    /** Those whose answers the ring holds. */
    private final UblkRequest[] held = new UblkRequest[DEPTH];

    private int heldCount;
    /** Requests that the driver may still send. */
    private int live;

    /** Requests that the thread has served itself since it last took some. */
    private int inline;

    /** When it last looked for requests, as {@link System#nanoTime}. */
    private long looked;

    private final Slowness slowness = new Slowness();
    private int shared;
    private ThreadPoolExecutor helpers;

    /**
     * A queue for {@code /dev/ublkcID}.
     *
     * @param control tells by which numbers the kernel knows the commands
     * @param onFailure run on the thread when it can't go on, and the driver is to fail what it would send
     */
    UblkQueue(
            int id,
            MappedDevice device,
            Served served,
            UblkControl control,
            Consumer<String> log,
            Consumer<UblkQueue> onFailure) {
        this.node = "/dev/ublkc" + id;
        this.io = device.io();
        this.served = served;
        this.storage = device::storage;
        this.pool = served.memory().pool();
        this.fetch = control.number(Ublk.FETCH_REQ, Ublk.IO_BYTES);
        this.commit = control.number(Ublk.COMMIT_AND_FETCH_REQ, Ublk.IO_BYTES);
        this.log = log;
        this.onFailure = onFailure;
        this.thread = Threads.daemon("ublk-" + id, this::run);
    }

    /**
     * Starts the thread; returns when the driver can send requests.
     *
     * @param first what the driver is told before its node is opened. All that takes time comes before that: an engine that is
     *     killed between it and the first command leaves a device that some kernels let nobody go on with
     */
    void start(Failures.Step first) throws IOException {
        this.first = first;
        client = served.add(() -> ended, storage);
        arrival = new Arrival(served, client);
        thread.start();
        Threads.join(ready);
    }

    /** Returns when the thread has ended, as it does when the device was stopped. */
    void join() {
        Threads.await(thread::join);
    }

    // ---- for whoever serves a request

    /** An error in this program. */
    void report(Throwable why) {
        log.accept("ublk: " + node + ": " + FailureText.of(why));
    }

    /** The request has been served, and can be answered; for any thread. */
    void done(UblkRequest request) {
        UblkRequest first;
        do {
            first = done.get();
            request.next = first;
        } while (!done.compareAndSet(first, request));
        // Either this sees that the thread may sleep, or the thread, which looks again after saying so, sees the
        // request.
        if (sleeping.get() && sleeping.getAndSet(false)) {
            try {
                wakeup.raise();
            } catch (ErrnoException e) {
                throw new IllegalStateException("an eventfd takes every write but the 2^64th", e);
            }
        }
    }

    // ---- the thread

    private void run() {
        ByteBuffer memory = null;
        boolean whole = false;
        try {
            memory = pool.take(DEPTH * MAX_BYTES);
            serve(memory);
            whole = true;
        } catch (IOException | RuntimeException | Error e) {
            if (!ready.completeExceptionally(e)) {
                log.accept("ublk: " + node + ": " + FailureText.of(e));
                onFailure.accept(this);
            }
        } finally {
            end(whole);
            if (whole) {
                // Otherwise the driver may still write to it.
                pool.give(memory);
            }
        }
    }

    private void serve(ByteBuffer memory) throws IOException {
        wakeup = new EventDescriptor();
        ring = new IoUring(RING_ENTRIES, false);
        helpers = new ThreadPoolExecutor(
                HELPERS,
                HELPERS,
                HELPER_SECONDS,
                TimeUnit.SECONDS,
                new LinkedBlockingQueue<>(),
                task -> Threads.daemon(thread.getName() + "-helper", task));
        helpers.allowCoreThreadTimeOut(true);
        address = RawIo.address(memory);
        wakeup.await(ring, WOKEN);
        for (int tag = 0; tag < DEPTH; tag++) {
            requests[tag] = new UblkRequest(this, io, client, tag, memory.slice(tag * MAX_BYTES, MAX_BYTES));
        }
        first.run();
        fd = FileDescriptors.open(node, FileDescriptors.O_RDWR);
        try (MappedMemory descriptors = new MappedMemory(node, fd, 0, pages(DEPTH * Ublk.DESCRIPTOR_BYTES), false)) {
            for (int tag = 0; tag < DEPTH; tag++) {
                put(fetch, tag, 0);
            }
            live = DEPTH;
            submit();
            if (ring.hasCompletion()) {
                // Before the device is started none is due, unless it failed.
                throw new ErrnoException("fetching from " + node, -ring.result());
            }
            ready.complete(null);
            while (live > 0) {
                answerDone();
                takeAll(descriptors);
                submit();
                if (live > 0 && !ring.hasCompletion() && done.get() == null && !poll.look(comesNow)) {
                    sleep();
                }
            }
        }
    }

    private static long pages(int bytes) {
        long page = 4096;
        return (bytes + page - 1) / page * page;
    }

    /** Takes what there is, up to {@value #MAX_HELD} answers. */
    private void takeAll(MappedMemory descriptors) throws IOException {
        inline = 0;
        long begin = System.nanoTime();
        arrival.waited(begin - looked);
        looked = begin;
        while (heldCount < MAX_HELD && ring.hasCompletion()) {
            take(descriptors);
        }
        if (inline > 0) {
            boolean slow = slowness.count(System.nanoTime() - begin, inline);
            shared = slow && slowness.isOften() ? SLOW_SHARE : shared;
        }
    }

    /** What the driver has completed: a request has come, or never will, or somebody is done with one. */
    private void take(MappedMemory descriptors) throws IOException {
        long tag = ring.userData();
        int result = ring.result();
        ring.next();
        if (tag == WOKEN) {
            if (result < 0) {
                throw new ErrnoException("read of an eventfd", -result);
            }
            wakeup.await(ring, WOKEN);
        } else if (result == 0) {
            long at = tag * Ublk.DESCRIPTOR_BYTES;
            UblkRequest request = requests[(int) tag];
            request.begin(
                    descriptors.getInt(at + Ublk.DESCRIPTOR_OPERATION),
                    descriptors.getInt(at + Ublk.DESCRIPTOR_SECTORS),
                    descriptors.getLong(at + Ublk.DESCRIPTOR_START));
            serve(request);
        } else if (result == -Errno.ENODEV.number()) {
            // The device was stopped.
            live--;
        } else {
            throw new ErrnoException("command to " + node, -result);
        }
    }

    private void serve(UblkRequest request) throws ErrnoException {
        if (arrival.isDue() && request.changes()) {
            // Reads don't wait: a node is looked at when it is made.
            submit();
            try {
                arrival.await();
            } catch (RuntimeException | Error e) {
                request.failed(e);
                answer(request);
                return;
            }
        }
        if (request.isShort() && shared == 0 && !io.isHeld()) {
            inline++;
            if (request.serve()) {
                answer(request);
            }
            return;
        }
        shared = Math.max(shared - 1, 0);
        try {
            helpers.execute(request);
        } catch (RuntimeException | Error e) {
            // Without a thread for it: the process may have no more just now.
            request.run();
        }
    }

    /** Answers those that others are done with. */
    private void answerDone() {
        UblkRequest request = done.get() == null ? null : done.getAndSet(null);
        while (request != null) {
            UblkRequest following = request.next;
            request.next = null;
            answer(request);
            request = following;
        }
    }

    private void answer(UblkRequest request) {
        put(commit, request.tag(), request.result());
        held[heldCount++] = request;
    }

    private void put(int command, int tag, int result) {
        ring.putCommand(fd, command, tag);
        ring.bodyShort(Ublk.IO_QUEUE, (short) QUEUE);
        ring.bodyShort(Ublk.IO_TAG, (short) tag);
        ring.bodyInt(Ublk.IO_RESULT, result);
        ring.bodyLong(Ublk.IO_ADDRESS, address + (long) tag * MAX_BYTES);
    }

    /** Gives the driver what was put; then nothing that was held is owed. */
    private void submit() throws ErrnoException {
        while (ring.pending() > 0) {
            ring.enter(0);
        }
        for (int i = 0; i < heldCount; i++) {
            held[i].answered();
        }
        heldCount = 0;
    }

    /** The next request may be with a thread that waits for this processor; and it comes on a way into the kernel only. */
    @SuppressWarnings("ThreadPriorityCheck") // a processor is given away for speed only
    private boolean comesNow() {
        Thread.yield();
        return ring.hasCompletion() || done.get() != null;
    }

    private void sleep() throws ErrnoException {
        sleeping.set(true);
        if (done.get() == null) {
            ring.enter(1);
        }
        sleeping.set(false);
    }

    private void end(boolean whole) {
        ended = true;
        if (whole || ready.isCompletedExceptionally()) {
            // Nothing is under way.
            served.remove(client);
        }
        sleeping.set(false);
        try {
            if (helpers != null) {
                helpers.shutdown();
            }
            for (UblkRequest request : requests) {
                if (request != null) {
                    request.close();
                }
            }
            if (ring != null) {
                ring.close();
            }
            if (fd >= 0) {
                FileDescriptors.close(fd);
            }
            if (whole) {
                // Otherwise somebody may still be about to raise it, and write.
                wakeup.close();
            }
        } catch (IOException e) {
            log.accept("ublk: " + node + ": " + e.getMessage());
        }
    }
}
