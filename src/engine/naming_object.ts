import { IntegrityError, ObjectMissingError } from "../domain/errors.ts";

/** What to do about an object that cannot be used. */
export const OTHER_BACKUP_HINT = "another backup may be whole: backupctl status lists them";

/** Runs `read` on an object of a backup, and puts its name into what is found wrong with it. */
export async function namingObject<T>(
  key: string,
  read: (key: string) => Promise<T>,
): Promise<T> {
  try {
    return await read(key);
  } catch (error) {
    if (error instanceof ObjectMissingError) {
      throw new IntegrityError(`object ${key} is missing`, OTHER_BACKUP_HINT, { cause: error });
    }
    if (!(error instanceof IntegrityError)) throw error;
    throw new IntegrityError(
      `object ${key} is damaged: ${error.message}`,
      error.hint ?? OTHER_BACKUP_HINT,
      { cause: error },
    );
  }
}
