// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URL;
import org.jacoco.core.instr.Instrumenter;
import org.jacoco.core.runtime.IExecutionDataAccessorGenerator;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Opcodes;

/**
 * Loads the project's own classes once more, those under test with a probe in every branch. What is loaded through it is
 * another class than the one of the same name that the tests know, so the two meet in interfaces of the JDK.
 */
public final class CoverageLoader extends ClassLoader implements IExecutionDataAccessorGenerator {
    private static final String OURS = "org.dmera.";
    private static final int ACCESS_STACK = 4;

    private final Instrumenter instrumenter = new Instrumenter(this);

    public CoverageLoader() {
        super(CoverageLoader.class.getClassLoader());
    }

    @Override
    protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
        if (!name.startsWith(OURS) || name.equals(Probes.class.getName())) {
            return super.loadClass(name, resolve);
        }
        synchronized (getClassLoadingLock(name)) {
            Class<?> loaded = findLoadedClass(name);
            return loaded == null ? define(name) : loaded;
        }
    }

    private Class<?> define(String name) throws ClassNotFoundException {
        URL file = getParent().getResource(name.replace('.', '/') + ".class");
        if (file == null) {
            throw new ClassNotFoundException(name);
        }
        try (InputStream in = file.openStream()) {
            byte[] bytes = in.readAllBytes();
            if (!file.getPath().contains("/test-classes/")) {
                bytes = instrumenter.instrument(bytes, name);
            }
            return defineClass(name, bytes, 0, bytes.length);
        } catch (IOException e) {
            throw new UncheckedIOException(name, e);
        }
    }

    @Override
    public int generateDataAccessor(long classId, String className, int probeCount, MethodVisitor method) {
        method.visitLdcInsn(classId);
        method.visitLdcInsn(className);
        method.visitLdcInsn(probeCount);
        method.visitMethodInsn(
                Opcodes.INVOKESTATIC,
                Probes.class.getName().replace('.', '/'),
                "of",
                "(JLjava/lang/String;I)[Z",
                false);
        return ACCESS_STACK;
    }
}
