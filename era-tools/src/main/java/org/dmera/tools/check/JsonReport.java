// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.check;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import java.io.IOException;
import java.io.StringWriter;
import java.math.BigInteger;
import org.dmera.core.check.CheckReport;
import org.dmera.core.evidence.Damage;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.Severity;
import org.dmera.core.linux.NativeText;
import org.dmera.tools.cli.Console;

/** A check's findings for programs; the members are described in era_check(8). */
final class JsonReport {
    private JsonReport() {}

    static void print(Console console, CheckReport report, String device) throws IOException {
        StringWriter text = new StringWriter();
        try (JsonGenerator json = new JsonFactory().createGenerator(text)) {
            json.setPrettyPrinter(new DefaultPrettyPrinter());
            json.writeStartObject();
            json.writeStringField("device", device);
            json.writeBooleanField("clean", report.isClean());
            json.writeNumberField("fatal", report.count(Severity.FATAL));
            json.writeNumberField("non_fatal", report.count(Severity.NON_FATAL));
            json.writeNumberField("notes", report.count(Severity.NOTE));
            json.writeObjectFieldStart("kinds");
            for (DamageKind kind : DamageKind.values()) {
                if (report.count(kind) > 0) {
                    json.writeNumberField(kind.label(), report.count(kind));
                }
            }
            json.writeEndObject();
            json.writeArrayFieldStart("findings");
            for (Damage damage : report.damages()) {
                write(json, damage);
            }
            json.writeEndArray();
            json.writeEndObject();
        }
        // A name may have bytes that are no characters.
        console.print(NativeText.ofUnicode(NativeText.toUnicode(text.toString())));
    }

    private static void write(JsonGenerator json, Damage damage) throws IOException {
        json.writeStartObject();
        json.writeStringField("severity", damage.severity().label());
        json.writeStringField("kind", damage.kind().label());
        json.writeStringField("structure", damage.structure().label());
        json.writeStringField("path", damage.path());
        if (damage.blockNr() == Damage.NO_BLOCK) {
            json.writeNullField("block");
        } else {
            // A damaged pointer may be any u64.
            json.writeFieldName("block");
            json.writeNumber(new BigInteger(Long.toUnsignedString(damage.blockNr())));
        }
        json.writeNumberField("nr_blocks", damage.nrBlocks());
        json.writeStringField("detail", damage.detail());
        json.writeStringField("remedy", damage.remedy().label());
        json.writeStringField("repair", damage.consequence());
        json.writeEndObject();
    }
}
