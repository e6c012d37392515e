// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.architecture;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;

/** docs/ARCHITECTURE.md leads a stranger through the code by names of classes: each is there. */
class ArchitectureDocTest {
    private static final Path ROOT = Fixtures.projectRoot();
    /** {@code package.Class}, the package as within its module. */
    private static final Pattern NAME = Pattern.compile("`((?:[a-z]+\\.)+)([A-Z]\\w+)`");

    @Test
    void everyClassThatIsNamedExists() throws IOException {
        List<String> named = NAME.matcher(Files.readString(ROOT.resolve("docs/ARCHITECTURE.md")))
                .results()
                .map(ArchitectureDocTest::path)
                .toList();
        assertTrue(named.size() > 20, named::toString);
        assertEquals(List.of(), named.stream().filter(name -> !isThere(name)).toList());
    }

    private static String path(MatchResult name) {
        return name.group(1).replace('.', '/') + name.group(2) + ".java";
    }

    private static boolean isThere(String name) {
        return Stream.of(
                        "era-core/src/main/java/org/dmera/core",
                        "era-tools/src/main/java/org/dmera/tools",
                        "era-tools/src/main/java/org/dmera/tools/backup",
                        "era-dmsetup/src/main/java/org/dmera/dmsetup")
                .anyMatch(base -> Files.exists(ROOT.resolve(base).resolve(name)));
    }
}
