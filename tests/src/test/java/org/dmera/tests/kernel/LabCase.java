// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import java.io.IOException;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;

/** One question to the real kernel: files made ready here, a script there, a judgement here. */
interface LabCase {
    /** Unique within a run; used as a folder's and a device's name. */
    String name();

    /** Puts what the script needs into the case's folder. */
    default void prepare(Path folder) throws IOException {}

    /** Run by the guest's {@code sh -e} in the case's folder, which the host shares; {@code $lab} is the helpers' folder. */
    String script();

    /** The judgements, once the script has ended well. */
    Stream<DynamicTest> checks(Path folder, CaseLog log);
}
