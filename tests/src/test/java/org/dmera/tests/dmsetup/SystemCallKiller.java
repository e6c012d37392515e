// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.dmsetup;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Watches by strace the system calls by which an engine changes anything outside itself, in the order of all its threads, and
 * kills it before one of them: strace holds each call back for a moment, says that it is about to come, and a process that is
 * killed at the entry of a call does not make it. Strace's own signals would not do: it counts calls in each thread for
 * itself.
 */
final class SystemCallKiller implements Closeable {
    private static final Path STRACE = Path.of("/usr/bin/strace");
    private static final String CALLS =
            "?open,?openat,?creat,?rename,?renameat,?renameat2,?link,?linkat,?symlink,?symlinkat,?unlink,?unlinkat,?mkdir,"
                    + "?mkdirat,?rmdir,?fsync,?fdatasync,?sync_file_range,?syncfs,?pwrite64,?pwritev,?write,?writev,?close,"
                    + "?ftruncate,?fallocate,?ioctl,?mount,?umount2,?sendmsg,?sendto,?shutdown,?chmod,?fchmod,?fchmodat,"
                    + "?utimensat";
    private static final int HOLD_MICROSECONDS = 40_000;
    private static final Pattern CALL = Pattern.compile("\\[pid +(\\d+)] ([a-z0-9_]+)\\((.*)");
    private static final Pattern OPENED = Pattern.compile(".*, (O_RDONLY|O_WRONLY|O_RDWR).*");
    /** The nodes by which an engine serves others, which go when they are closed. */
    private static final Pattern CLOSED_NODE = Pattern.compile("\\d+</dev/(fuse|loop|nbd|ublk).*");

    private static final long LIMIT_SECONDS = 60;

    /** A call: by which thread, and as which of all those of these names that the thread made, from 1. */
    record Call(long thread, String name, int numberInThread) {}

    /** What is known of a line as far as it has come. */
    private enum Meaning {
        CHANGES,
        CHANGES_NOTHING,
        UNKNOWN
    }

    private final ProcessHandle engine;
    private final int killBefore;
    private final Process strace;
    private final Thread reader;
    private final StringBuilder text = new StringBuilder();
    private final List<Call> calls = new ArrayList<>();
    private final Map<Long, Integer> byThread = new HashMap<>();
    private long lastCallNanos = System.nanoTime();
    private boolean attached;
    private boolean ended;
    private IOException failure;

    /**
     * Begins to watch.
     *
     * @param killBefore the number of the call that is not made any more, from 1; 0 for none
     * @param heldBack the first call of each thread that is held back, from 1: those before the one that matters needn't be
     */
    SystemCallKiller(ProcessHandle engine, int killBefore, int heldBack) throws IOException, InterruptedException {
        this.engine = engine;
        this.killBefore = killBefore;
        List<String> command = new ArrayList<>(List.of(STRACE.toString(), "-f", "-y", "-s", "80", "-e", "signal=none"));
        command.addAll(List.of("-e", "trace=" + CALLS));
        if (killBefore > 0) {
            command.addAll(
                    List.of("-e", "inject=" + CALLS + ":delay_enter=" + HOLD_MICROSECONDS + ":when=" + heldBack + "+"));
        }
        command.addAll(List.of("-p", Long.toString(engine.pid())));
        strace = new ProcessBuilder(command).redirectErrorStream(true).start();
        reader = new Thread(this::read, "strace");
        reader.setDaemon(true);
        reader.start();
        awaitAttached();
    }

    /** Skips when there is no strace. */
    static void need() {
        Program.need(Files.isExecutable(STRACE), "strace is missing");
    }

    private synchronized void awaitAttached() throws IOException, InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT_SECONDS);
        while (!attached && !ended && System.nanoTime() < deadline) {
            wait(1000);
        }
        if (!attached) {
            strace.destroyForcibly();
            throw new IOException("strace can't attach: " + text);
        }
    }

    private void read() {
        byte[] bytes = new byte[1 << 16];
        StringBuilder line = new StringBuilder();
        boolean judged = false;
        try (InputStream said = strace.getInputStream()) {
            for (int n = said.read(bytes); n >= 0; n = said.read(bytes)) {
                synchronized (this) {
                    for (int i = 0; i < n; i++) {
                        char c = (char) (bytes[i] & 0xff);
                        text.append(c);
                        if (c != '\n') {
                            line.append(c);
                        }
                        // A part of a line is told when the call begins.
                        if (!judged && (c == '\n' || i == n - 1)) {
                            judged = judge(line, c == '\n');
                        }
                        if (c == '\n') {
                            attached |= line.indexOf("attached") >= 0;
                            line.setLength(0);
                            judged = false;
                        }
                    }
                    notifyAll();
                }
            }
        } catch (IOException e) {
            synchronized (this) {
                failure = e;
            }
        } finally {
            synchronized (this) {
                ended = true;
                notifyAll();
            }
        }
    }

    /** Counts the call that the line tells of, if it does; false when more of the line has to come. */
    private boolean judge(CharSequence line, boolean whole) {
        Matcher call = CALL.matcher(line);
        if (!call.matches()) {
            return whole;
        }
        Meaning meaning = meaning(call.group(2), call.group(3));
        if (meaning == Meaning.UNKNOWN && !whole) {
            return false;
        }
        long thread = Long.parseLong(call.group(1));
        int number = byThread.merge(thread, 1, Integer::sum);
        if (meaning == Meaning.CHANGES) {
            calls.add(new Call(thread, call.group(2), number));
            lastCallNanos = System.nanoTime();
            if (calls.size() == killBefore) {
                engine.destroyForcibly();
            }
        }
        return true;
    }

    /** What is only read, the log, and files that are closed make no difference to what is found after a kill. */
    private static Meaning meaning(String name, String arguments) {
        if (name.startsWith("open")) {
            Matcher opened = OPENED.matcher(arguments);
            return !opened.matches()
                    ? Meaning.UNKNOWN
                    : opened.group(1).equals("O_RDONLY") ? Meaning.CHANGES_NOTHING : Meaning.CHANGES;
        }
        if (name.equals("close")) {
            return CLOSED_NODE.matcher(arguments).matches()
                    ? Meaning.CHANGES
                    : arguments.contains(">") ? Meaning.CHANGES_NOTHING : Meaning.UNKNOWN;
        }
        return name.equals("write") && arguments.startsWith("2<") ? Meaning.CHANGES_NOTHING : Meaning.CHANGES;
    }

    /** Waits until the engine was killed, or has made no call for a while. */
    synchronized void awaitQuiet(long millis) throws InterruptedException {
        while (!ended) {
            long quiet = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - lastCallNanos);
            if (calls.size() >= killBefore && killBefore > 0 || quiet >= millis) {
                return;
            }
            wait(millis - quiet);
        }
    }

    /** Waits until strace has told all of an engine that is dead; what it said. */
    String awaitEnd() throws InterruptedException {
        reader.join(TimeUnit.SECONDS.toMillis(LIMIT_SECONDS));
        synchronized (this) {
            return text.toString();
        }
    }

    synchronized List<Call> calls() {
        return List.copyOf(calls);
    }

    /** Lets go of the engine, if it is still there. */
    @Override
    public void close() throws IOException {
        // Not by the process itself, which would close what it says.
        strace.toHandle().destroy();
        try {
            strace.waitFor();
            reader.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("while strace ends");
        }
        synchronized (this) {
            if (failure != null) {
                throw failure;
            }
        }
    }
}
