import { readFile, stat } from 'node:fs/promises';
import type { Settings } from '../../config/settings.ts';

/** A bundle of all public authorities is some 220 KiB. */
const MAX_FILE_BYTES = 1024 * 1024;

/** The content of files as one text, or the reason why it cannot be used. */
export type FileContent =
  | { readonly text: string }
  /** `setting`: the name of the setting whose file has the problem; undefined if there is only one. */
  | { readonly problem: string; readonly setting?: string };

/** Settings whose values are the content of one or several files. */
export interface SettingFile {
  /** The names of the settings, for the log. */
  readonly name: string;
  /** What the content is, for the log, such as `tokens`. */
  readonly what: string;
  /** Level of the log line when the content becomes unusable. */
  readonly severity: 'warn' | 'error';
  /** The content in use. */
  readonly initial: string;
  /** Reads the files; never rejects. */
  read(): Promise<FileContent>;
  /** Describes a change of the content for the log, without a part of a secret. */
  describe(before: string, after: string): string;
  /** Returns a warning about a content that is used all the same. */
  warningOf?(content: string): string | undefined;
  /** Returns the settings with this content. */
  apply(settings: Settings, content: string): Settings;
}

/** Reads a file; never rejects. */
export async function readSettingFile(path: string): Promise<FileContent> {
  try {
    const stats = await stat(path);
    // A pipe can be read only once; a second read would wait for ever.
    if (!stats.isFile()) return { problem: 'is not a regular file' };
    if (stats.size > MAX_FILE_BYTES) return { problem: `is larger than ${MAX_FILE_BYTES} bytes` };
    return { text: await readFile(path, 'utf8') };
  } catch (error) {
    return { problem: `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'})` };
  }
}
