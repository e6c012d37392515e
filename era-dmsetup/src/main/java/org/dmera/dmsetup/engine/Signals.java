// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.lang.reflect.Method;
import java.lang.reflect.Proxy;

/**
 * Handlers for signals. Java has no API of its own for a second SIGTERM while the first is being handled; the one that
 * every JVM has (jdk.unsupported) is reached by reflection, because the compiler warns of its name and can't be told not to.
 */
final class Signals {
    private Signals() {}

    /** Runs {@code handler} on a thread of its own for each {@code name} (TERM, INT) that comes. */
    static void handle(String name, Runnable handler) {
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
