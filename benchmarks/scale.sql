-- :studies studies of ten images, each with ten jobs that are done and, of the first, two objects that were sent.
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :studies)
INSERT INTO patients (id, key, patient_id) SELECT i, 'k' || i, 'PAT' || i FROM n;

WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :studies)
INSERT INTO studies
    (id, patient_id, study_instance_uid, state, generation, header, first_received_at,
     last_received_at, completed_at, study_date, accession_number, reading)
SELECT i, i, '2.25.5.' || i, 'complete', 1,
       '{"PatientID":"PAT' || i || '","PatientName":"FAMILY' || (i % 5000) || '^GIVEN","AccessionNumber":"A' || i
       || '","StudyDescription":"CT CHEST","StudyDate":"20260101"}', at, at, at,
       strftime('%Y%m%d', '2026-01-01', '+' || i || ' minutes'), 'A' || i,
       CASE WHEN i % 10 = 0 THEN 'read' WHEN i % 3 = 0 THEN 'nothing' ELSE 'finding' END
FROM (SELECT i, strftime('%Y-%m-%d %H:%M:%f', '2026-01-01', '+' || i || ' minutes') || '000' AS at FROM n);

INSERT INTO study_words (study_id, kind, word) SELECT id, 'name', 'family' || (id % 5000) FROM studies;
INSERT INTO study_words (study_id, kind, word) SELECT id, 'name', 'given' FROM studies;
INSERT INTO study_words (study_id, kind, word) SELECT id, 'patient_id', 'pat' || id FROM studies;
INSERT INTO study_words (study_id, kind, word) SELECT id, 'accession', 'a' || id FROM studies;
INSERT INTO study_words (study_id, kind, word) SELECT id, 'finding', 'left lung' FROM studies WHERE id % 3;

INSERT INTO series (id, study_id, series_instance_uid, modality, header)
SELECT id, id, study_instance_uid || '.1', 'CT', '{"Modality":"CT","SeriesNumber":3}' FROM studies;

WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9)
INSERT INTO instances
    (series_id, sop_instance_uid, sop_class_uid, transfer_syntax_uid, instance_number, header, key,
     size_bytes, sha256, received_at)
SELECT series.id, series_instance_uid || '.' || i, '1.2.840.10008.5.1.4.1.1.2',
       '1.2.840.10008.1.2.1', i,
       '{"SOPClassUID":"1.2.840.10008.5.1.4.1.1.2","InstanceNumber":' || i
       || ',"ImageType":["ORIGINAL","PRIMARY","AXIAL"],"Rows":512,"Columns":512,'
       || '"ImagePositionPatient":[-175.5,-175.5,' || i || '],'
       || '"ImageOrientationPatient":[1.0,0.0,0.0,0.0,1.0,0.0],"PixelSpacing":[0.7,0.7],'
       || '"SliceThickness":1.0}',
       lower(hex(randomblob(1))) || '/' || lower(hex(randomblob(16))) || '.dcm', 526000,
       lower(hex(randomblob(32))), '2026-01-05 09:30:00.000000'
FROM series, n;

INSERT INTO jobs
    (id, key, inputs_digest, analyzer, analyzer_version, parameters_digest, parameters, study_id,
     series_id, rule, priority, destinations, refusals, notices, state, attempts, created_at, rank_at,
     not_before, started_at, finished_at, findings, previews, remarks)
SELECT id, lower(hex(randomblob(32))), lower(hex(randomblob(32))), 'lung_segmentation', '1', 'p',
       '{}', id, id, 'chest', 'routine', '["pacs"]', '[]', 1, 'done', 1, last_received_at,
       last_received_at, last_received_at, last_received_at, last_received_at,
       '[{"structure":"left lung","name":"Volume","value":2.5,"unit":"L","text":""}]', '[]', '[]'
FROM studies;

WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 10)
INSERT INTO jobs
    (key, inputs_digest, analyzer, analyzer_version, parameters_digest, parameters, study_id,
     series_id, rule, priority, destinations, refusals, notices, state, attempts, created_at, rank_at,
     not_before, started_at, finished_at, findings, previews, remarks)
SELECT lower(hex(randomblob(32))), lower(hex(randomblob(32))), 'analyzer_' || i, '1', 'p',
       '{}', id, id, 'chest', 'routine', '["pacs"]', '[]', 1, 'not_applicable', 1, last_received_at,
       last_received_at, last_received_at, last_received_at, last_received_at, '[]', '[]', '[]'
FROM studies, n;

INSERT INTO job_inputs (job_id, instance_id) SELECT series_id, id FROM instances;

INSERT INTO results
    (job_id, sop_instance_uid, sop_class_uid, series_instance_uid, transfer_syntax_uid, kind, key,
     size_bytes, sha256)
SELECT jobs.id, '2.25.9.' || kind.n || '.' || jobs.id, '1.2', '2.25.8.' || kind.n || '.' || jobs.id,
       '1.2.840.10008.1.2.1', kind.name, 'a/b.dcm', 1000, 'x'
FROM (SELECT 1 AS n, 'seg' AS name UNION ALL SELECT 2, 'sr') AS kind, jobs
WHERE jobs.analyzer = 'lung_segmentation';

INSERT INTO deliveries (job_id, result_id, destination, state, attempts, not_before, status, sent_at)
SELECT job_id, id, 'pacs', 'sent', 1, '2026-01-05 09:30:00.000000', 0, '2026-01-05 09:30:00.000000'
FROM results;

INSERT INTO events (at, level, subject, subject_id, from_state, to_state, reason)
SELECT sent_at, 'info', 'delivery', id, 'sending', 'sent', '' FROM deliveries;
