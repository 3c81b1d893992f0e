import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateBucketCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { inParallel } from './in-parallel.ts';

/** Puts every file below `folder` into a new bucket, with its relative path as the key. @returns the number of files */
export async function loadBucket(s3: S3Client, bucket: string, folder: string): Promise<number> {
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  await inParallel(paths, 16, async (path) => {
    const key = path.slice(folder.length + 1);
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: readFileSync(path) }));
  });
  return paths.length;
}
