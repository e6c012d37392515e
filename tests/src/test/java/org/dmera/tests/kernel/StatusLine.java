// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

/** One line of {@code dmsetup status} for an era target. */
record StatusLine(long lengthSectors, int metadataBlockSectors, long used, long total, int era, boolean snapshotHeld) {

    static StatusLine parse(String line) {
        String[] words = line.strip().split("[ /]", -1);
        if (words.length != 8 || !words[2].equals("era")) {
            throw new AssertionError("not an era target's status: " + line);
        }
        return new StatusLine(
                Long.parseLong(words[1]),
                Integer.parseInt(words[3]),
                Long.parseLong(words[4]),
                Long.parseLong(words[5]),
                Integer.parseInt(words[6]),
                !words[7].equals("-"));
    }

    void requireMatches(String label, EraRecord record) {
        boolean matches = lengthSectors == record.lengthSectors()
                && metadataBlockSectors == 8
                && era == record.era()
                && snapshotHeld == (record.held() != null)
                && used > 0
                && used <= total;
        if (!matches) {
            throw new AssertionError("status " + label + " is " + this + "; by the record the length is "
                    + record.lengthSectors() + ", the era " + record.era()
                    + (record.held() == null ? ", no snapshot is held" : ", a snapshot is held"));
        }
    }
}
