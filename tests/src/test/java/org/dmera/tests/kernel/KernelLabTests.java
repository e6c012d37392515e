// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestInstance;

/** All cases on one kernel, which boots once for them. */
@Tag("kernel")
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class KernelLabTests {
    /** {@code -Dera.kernel.case=REGEX}: only the cases whose names match. */
    private static final String ONLY = System.getProperty("era.kernel.case", ".*");

    private final Kernel kernel;
    private LabRun run;

    KernelLabTests(Kernel kernel) {
        this.kernel = kernel;
    }

    @BeforeAll
    void runAllCasesInOneBoot() throws Exception {
        Lab.assumeUsable(kernel);
        run = new LabRun(kernel, cases());
        run.boot();
    }

    @TestFactory
    Stream<DynamicNode> whatTheKernelWroteReadsAsItWasWritten() {
        return run.checks(WorkloadCase.class);
    }

    @TestFactory
    Stream<DynamicNode> noPowerCutLosesAWrite() {
        return run.checks(PowerCutCase.class);
    }

    @TestFactory
    Stream<DynamicNode> theSameOperationsLeaveTheSameBytes() {
        return run.checks(TwinCase.class);
    }

    @TestFactory
    Stream<DynamicNode> anIncrementalCopyOfAFileSystemEqualsIt() {
        return run.checks(FileSystemCase.class);
    }

    @TestFactory
    Stream<DynamicNode> ourBackupOfADeviceInUseEqualsIt() {
        return run.checks(BackupCommandCase.class);
    }

    @TestFactory
    Stream<DynamicNode> theDocumentedBackupOfALogicalVolumeWorksAsWritten() {
        return run.checks(LvmRecipeCase.class);
    }

    @TestFactory
    Stream<DynamicNode> aCacheSurvivesTheRollbackOfTheVolumeBeneath() {
        return run.checks(CacheRollbackCase.class);
    }

    @TestFactory
    Stream<DynamicNode> theDocumentedRollbackBeneathACachedVolumeWorksAsWritten() {
        return run.checks(CacheRecipeCase.class);
    }

    @TestFactory
    Stream<DynamicNode> ourCommandAnswersAsDmsetupDoes() {
        return run.checks(ControlChannelCase.class);
    }

    @TestFactory
    Stream<DynamicNode> ourEnginesDeviceIsAttachedAsANode() {
        return run.checks(AttachedDeviceCase.class);
    }

    @TestFactory
    Stream<DynamicNode> ourEnginesDeviceIsAUblkDevice() {
        return run.checks(UblkCase.class);
    }

    @TestFactory
    Stream<DynamicNode> aUblkDevicesUsersSeeNoErrorWhenTheEngineIsKilled() {
        return run.checks(UblkKillCase.class);
    }

    @TestFactory
    Stream<DynamicNode> aUblkDeviceEndsWithoutALossThatNobodyIsToldOf() {
        return run.checks(UblkEndCase.class);
    }

    @TestFactory
    Stream<DynamicNode> whatSurprisedUsIsStillSo() {
        return run.checks(KernelBehaviour.class);
    }

    private List<LabCase> cases() {
        List<LabCase> cases = new ArrayList<>();
        for (long seed : Seeds.forWorkloads(kernel)) {
            cases.add(new WorkloadCase(WorkloadGenerator.free("seed" + seed, seed, 45)));
        }
        long seed = Seeds.first(kernel);
        cases.add(new WorkloadCase(WorkloadGenerator.wide("wide" + seed, seed, 14)));
        for (long each : Seeds.forPowerCuts(kernel)) {
            cases.add(new PowerCutCase(WorkloadGenerator.forward("powerCut" + each, each, 40), each));
        }
        for (long each : Seeds.forTwins(kernel)) {
            cases.add(new TwinCase(WorkloadGenerator.settled("twin" + each, each, 40)));
        }
        for (long each : Seeds.forOurMetadata(kernel)) {
            cases.addAll(OurMetadata.cases(each));
        }
        cases.add(new ControlChannelCase());
        cases.add(new FileSystemCase(128));
        if (kernel == Kernel.USER_MODE_LINUX || Lab.NIGHTLY) {
            // Starts of Java take minutes where the processor is emulated.
            cases.add(new BackupCommandCase());
            cases.addAll(KernelBehaviours.ofOurCommand());
            cases.add(new LvmRecipeCase());
            cases.add(new CacheRecipeCase());
            cases.add(new AttachedDeviceCase(false));
            cases.add(new AttachedDeviceCase(true));
        }
        if (kernel == Kernel.DEBIAN_13) {
            // The only one of these kernels with ublk.
            cases.add(new UblkCase());
            if (Lab.NIGHTLY) {
                cases.add(new UblkKillCase());
                cases.add(new UblkEndCase());
            }
        }
        for (long each : Seeds.forCacheRollbacks(kernel)) {
            cases.add(new CacheRollbackCase(each));
        }
        cases.addAll(KernelBehaviours.on(kernel));
        cases.addAll(CacheBehaviours.all());
        cases.removeIf(each -> !each.name().matches(ONLY));
        return cases;
    }
}
