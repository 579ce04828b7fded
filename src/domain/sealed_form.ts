/** How an encrypted object begins: a byte that no text begins with, and a name. */
export const SEALED_MAGIC = [0x89, 0x42, 0x43, 0x53, 0x45, 0x41, 0x4c] as const;

/** Whether an object is encrypted by backupctl, told from its first bytes. */
export function isSealed(bytes: Uint8Array): boolean {
  return bytes.length > SEALED_MAGIC.length &&
    SEALED_MAGIC.every((byte, at) => bytes[at] === byte);
}
