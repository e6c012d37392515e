// SPDX-License-Identifier: Apache-2.0
/** What metadata holds, for a person: era_stat in words and numbers, era_plot in pictures. */
package org.dmera.tools.stat;
