// SPDX-License-Identifier: Apache-2.0
/** The programs: each is options and a call into era-core. Formats for people (XML, JSON) live here too. */
package org.dmera.tools;
