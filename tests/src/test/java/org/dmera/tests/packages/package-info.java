// SPDX-License-Identifier: Apache-2.0
/** The Debian packages and the release's papers: what is in them, and what installing and removing them does. */
package org.dmera.tests.packages;
