// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import java.io.IOException;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;

/** A written-down surprise: a script that brings it about, and what must be seen afterwards. */
final class KernelBehaviour implements LabCase {
    @FunctionalInterface
    interface Check {
        void check(Path folder, CaseLog log) throws Exception;
    }

    @FunctionalInterface
    interface Preparation {
        void prepare(Path folder) throws IOException;
    }

    private final String name;
    private final String script;
    private final Check check;
    private final Preparation preparation;

    KernelBehaviour(String name, String script, Check check) {
        this(name, folder -> {}, script, check);
    }

    KernelBehaviour(String name, Preparation preparation, String script, Check check) {
        this.name = name;
        this.preparation = preparation;
        this.script = script;
        this.check = check;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public void prepare(Path folder) throws IOException {
        preparation.prepare(folder);
    }

    @Override
    public String script() {
        // Device-mapper names are what the kernel's messages show, so the case's name serves.
        return ". \"$lab/lib.sh\"\nbegin " + name + " 4096 65536\n" + script + "finish\n";
    }

    @Override
    public Stream<DynamicTest> checks(Path folder, CaseLog log) {
        return Stream.of(DynamicTest.dynamicTest(name, () -> check.check(folder, log)));
    }
}
