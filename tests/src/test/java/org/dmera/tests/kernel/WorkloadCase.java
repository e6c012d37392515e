// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;

/** Theirs to ours: the kernel's device is driven by a random workload, and our tools read what it left behind. */
class WorkloadCase implements LabCase {
    private final Workload workload;

    WorkloadCase(Workload workload) {
        this.workload = workload;
    }

    @Override
    public String name() {
        return workload.name();
    }

    @Override
    public String script() {
        return workload.script();
    }

    Workload workload() {
        return workload;
    }

    @Override
    public Stream<DynamicTest> checks(Path folder, CaseLog log) {
        List<DynamicTest> checks = new ArrayList<>();
        workload.images()
                .forEach((name, expected) -> checks.add(DynamicTest.dynamicTest(
                        name + "ReadsAsItWasWritten",
                        () -> ImageJudgement.of(folder.resolve(name + ".img"), expected, log)
                                .judge())));
        checks.add(DynamicTest.dynamicTest(
                "statusLinesFollowTheRecord",
                () -> workload.statuses()
                        .forEach((label, record) ->
                                StatusLine.parse(log.answer("status", label)).requireMatches(label, record))));
        return checks.stream();
    }
}
