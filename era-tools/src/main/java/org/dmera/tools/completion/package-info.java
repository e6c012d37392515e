// SPDX-License-Identifier: Apache-2.0
/** Shell completion for all tools. */
package org.dmera.tools.completion;
