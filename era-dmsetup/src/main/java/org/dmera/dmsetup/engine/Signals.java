// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.List;

/**
 * Handlers for signals. Java has no API of its own for a second SIGTERM while the first is being handled; the one that
 * every JVM has (jdk.unsupported) is reached by reflection, because the compiler warns of its name and can't be told not to.
 */
public final class Signals {
    private Signals() {}

    /**
     * Those that would end the process as a kill does, and that a virtual machine lets us handle: all of signal(7), but for
     * KILL, for what it tells itself of its own faults (SEGV, BUS, FPE, ILL), and for those that don't end it (QUIT, which
     * makes it print what its threads do, PIPE, XFSZ). USR2 it has for sampling its threads, and aborts when another sends it.
     */
    public static final List<String> ENDING = List.of(
            "TERM", "INT", "USR1", "USR2", "ALRM", "VTALRM", "PROF", "POLL", "PWR", "STKFLT", "XCPU", "ABRT", "TRAP",
            "SYS");

    /** Runs {@code handler} on a thread of its own for each {@code name} (TERM, INT) that comes. */
    public static void handle(String name, Runnable handler) {
        try {
            Class<?> signalType = Class.forName("sun.misc.Signal");
            Class<?> handlerType = Class.forName("sun.misc.SignalHandler");
            Object proxy = Proxy.newProxyInstance(
                    Signals.class.getClassLoader(), new Class<?>[] {handlerType}, (self, method, arguments) -> {
                        if (method.getName().equals("handle")) {
                            handler.run();
                        }
                        return null;
                    });
            Method handle = signalType.getMethod("handle", signalType, handlerType);
            handle.invoke(null, signalType.getConstructor(String.class).newInstance(name), proxy);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("this JVM takes no handler for SIG" + name, e);
        }
    }
}
