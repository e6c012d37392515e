// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

/**
 * The options, in dmsetup's alphabet; every command takes every option, and most ignore most. Names follow from the
 * constants: a lower-case long option each. {@code value} says that it has an argument.
 */
enum Switch {
    READONLY('r', false),
    ALIAS('\0', true),
    ALLDEVICES('\0', false),
    ALLPROGRAMS('\0', false),
    ALLREGIONS('\0', false),
    AREAS('\0', true),
    AREASIZE('\0', true),
    BOUNDS('\0', true),
    CHECKS('\0', false),
    CLEAR('\0', false),
    COLUMNS('c', false),
    CONCISE('\0', false),
    COUNT('\0', true),
    DEFERRED('\0', false),
    SELECT('S', true),
    EXEC('\0', true),
    FILEMAP('\0', false),
    FOLLOW('\0', true),
    FORCE('f', false),
    GID('G', true),
    GROUPID('\0', true),
    HEADINGS('\0', true),
    HELP('h', false),
    HISTOGRAM('\0', false),
    INACTIVE('\0', false),
    INTERVAL('\0', true),
    LENGTH('\0', true),
    MANGLENAME('\0', true),
    MAJOR('j', true),
    MINOR('m', true),
    MODE('M', true),
    NAMEPREFIXES('\0', false),
    NOFLUSH('\0', false),
    NOGROUP('\0', false),
    NOHEADINGS('\0', false),
    NOLOCKFS('\0', false),
    NOMONITOR('\0', false),
    NOOPENCOUNT('\0', false),
    NOSUFFIX('\0', false),
    NOTABLE('n', false),
    NOTIMESUFFIX('\0', false),
    UDEVCOOKIE('\0', true),
    NOUDEVRULES('\0', false),
    NOUDEVSYNC('\0', false),
    OPTIONS('o', true),
    PRECISE('\0', false),
    PROGRAMID('\0', true),
    READAHEAD('\0', true),
    REGIONID('\0', true),
    REGIONS('\0', true),
    RELATIVE('\0', false),
    RETRY('\0', false),
    ROWS('\0', false),
    SEGMENTS('\0', false),
    SEPARATOR('\0', true),
    SETUUID('\0', false),
    SHOWKEYS('\0', false),
    SORT('O', true),
    START('\0', true),
    TABLE('\0', true),
    TARGET('\0', true),
    TREE('\0', false),
    UID('U', true),
    UNITS('\0', true),
    UUID('u', true),
    UNBUFFERED('\0', false),
    UNQUOTED('\0', false),
    USERDATA('\0', true),
    VERBOSE('v', false),
    VERIFYUDEV('\0', false),
    VERSION('\0', false),
    YES('y', false),
    ADDNODEONRESUME('\0', false),
    ADDNODEONCREATE('\0', false),

    // Ours.
    ALL('\0', false),
    ATTACH('\0', false),
    CONTROL('\0', true),
    COW('\0', true),
    DETACH('\0', false),
    DRY_RUN('\0', false),
    ENROLL('\0', false),
    ERATAB('\0', true),
    JSON('\0', false),
    LOG_LEVEL('\0', true),
    NBD('\0', true),
    NBD_PLAIN('\0', false),
    NBD_TLS('\0', true),
    NBD_TLS_ALLOW('\0', true),
    SINCE('\0', true),
    STATE('\0', true);

    private final char letter;
    private final boolean value;
    private final String longName;

    Switch(char letter, boolean value) {
        this.letter = letter;
        this.value = value;
        this.longName = name().toLowerCase(java.util.Locale.ROOT).replace('_', '-');
    }

    String longName() {
        return longName;
    }

    /** The short form, or NUL for none. */
    char letter() {
        return letter;
    }

    /** Whether it is none of dmsetup's. */
    boolean isOurs() {
        return compareTo(ALL) >= 0;
    }

    boolean hasValue() {
        return value;
    }

    /** The option with this letter, or null. */
    static Switch ofLetter(char c) {
        for (Switch s : values()) {
            // Both cases of -c mean columns.
            if (s.letter == c || s == COLUMNS && c == 'C') {
                return c == '\0' ? null : s;
            }
        }
        return null;
    }
}
