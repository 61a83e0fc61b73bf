-- :rows instances in studies of 500, with the keys and lengths that real ones have.
BEGIN;
INSERT INTO patients (key, patient_id) VALUES ('bench', 'BENCH');
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows / 500)
INSERT INTO studies
    (patient_id, study_instance_uid, state, header, first_received_at, last_received_at, completed_at)
SELECT (SELECT max(id) FROM patients), '2.25.5.' || i, 'complete', '{"PatientID": "BENCH"}', m, m, m
FROM n, (SELECT '2026-01-05 09:30:00.000000' AS m);
INSERT INTO series (study_id, series_instance_uid, modality, header)
SELECT id, study_instance_uid || '.1', 'CT', '{"Modality": "CT"}' FROM studies;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 499)
INSERT INTO instances
    (series_id, sop_instance_uid, sop_class_uid, transfer_syntax_uid, instance_number, header, key,
     size_bytes, sha256, received_at)
SELECT series.id, series_instance_uid || '.' || i, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', i,
       '{"Rows": 128, "Columns": 128, "ImagePositionPatient": [-175.5, -175.5, ' || i || ']}',
       lower(hex(randomblob(1))) || '/' || lower(hex(randomblob(16))) || '.dcm',
       36000, lower(hex(randomblob(32))), '2026-01-05 09:30:00.000000'
FROM series, n;
COMMIT;
