// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import java.util.List;

/** What somebody may have meant who mistyped a word. */
public final class NearMiss {
    private NearMiss() {}

    /** The word that is nearest to {@code typed}, or null when none is near: a third of its letters may be wrong. */
    public static String of(String typed, List<String> words) {
        String nearest = null;
        int least = typed.length() / 3 + 1;
        for (String word : words) {
            int distance = distance(typed, word);
            if (distance < least) {
                least = distance;
                nearest = word;
            }
        }
        return nearest;
    }

    /** Letters to put in, to take out or to change (Levenshtein), two neighbours that changed places counting as two. */
    private static int distance(String a, String b) {
        int[] row = new int[b.length() + 1];
        for (int j = 0; j <= b.length(); j++) {
            row[j] = j;
        }
        for (int i = 1; i <= a.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                int change = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.min(change, Math.min(row[j], row[j - 1]) + 1);
            }
        }
        return row[b.length()];
    }
}
