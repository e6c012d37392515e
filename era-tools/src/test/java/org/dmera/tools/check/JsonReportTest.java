// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.check;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.check.CheckReport;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.linux.NativeText;
import org.dmera.tools.cli.Console;
import org.junit.jupiter.api.Test;

/** JSON is Unicode, and a file's name is bytes. */
class JsonReportTest {
    /** The name in the report of a device called so; its bytes have to be UTF-8. */
    private static String reported(String device) throws IOException {
        CheckReport report = MetadataChecker.check(new MemoryBlockDevice(1));
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        PrintStream err = new PrintStream(new ByteArrayOutputStream(), true, StandardCharsets.UTF_8);
        Console console = Console.of("era_check", new ByteArrayInputStream(new byte[0]), out, err, false);
        JsonReport.print(console, report, device);
        String text = StandardCharsets.UTF_8
                .newDecoder()
                .decode(ByteBuffer.wrap(out.toByteArray()))
                .toString();
        return new ObjectMapper().readTree(text).get("device").asText();
    }

    @Test
    void aNameInUtf8IsItself() throws IOException {
        assertEquals("/dev/vg/méta", reported(NativeText.ofUnicode("/dev/vg/méta")));
        assertEquals("/dev/vg/a\"b", reported("/dev/vg/a\"b"));
    }

    @Test
    void aByteThatIsNoCharacterIsReplacedAsInEraStat() throws IOException {
        assertEquals("/dev/vg/m\uFFFDta", reported("/dev/vg/m\u00EFta"));
    }
}
