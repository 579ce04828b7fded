/**
 * The object that says, in a backup's folder, that its removal was begun. It is put before
 * backup.json goes and goes last, so that the next run knows what to finish. With a backup.json
 * beside it, it means nothing.
 */
export const REMOVAL_MARK = "removing";
